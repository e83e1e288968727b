"""A tenant that signs people in, and the resource manager of its subscription: started in a moment, without storage."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from azure_stand_in import certificates
from azure_stand_in.certificates import Certificates
from azure_stand_in.manager import Manager
from azure_stand_in.proxy import Proxy
from azure_stand_in.sign_in import FEDERATED, SECRET, TENANT, SignIn

CLIENT = "c1000000-0000-0000-0000-000000000001"


@dataclass(frozen=True)
class Tenant:
    """sign_in: who asked for tokens. manager: what there is. proxy: what else was asked for, and refused.

    folder: certificates and logs.
    """

    folder: Path
    ca: Path
    sign_in: SignIn
    manager: Manager
    proxy: Proxy

    @property
    def certificates(self) -> Certificates:
        return Certificates(self.ca, self.folder / "server.pem", self.folder / "server.key")

    @property
    def way(self) -> Mapping[str, str]:
        """The environment that leads a program here, and nowhere else, without an identity."""
        return {
            "HTTPS_PROXY": self.proxy.address,
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "SSL_CERT_FILE": str(self.ca),
        }

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of a program with an identity: a client with a secret."""
        signed_in = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET}
        return {**self.way, **signed_in}

    @property
    def workload_identity(self) -> Mapping[str, str]:
        """That of a pod of a cluster, whose token file the tenant trusts."""
        file = self.folder / "federated-token"
        file.write_text(FEDERATED)
        named = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_FEDERATED_TOKEN_FILE": str(file)}
        return {**self.way, **named}

    @contextlib.contextmanager
    def unreachable(self, host: str) -> Iterator[None]:
        port = self.proxy.hosts.pop(host)
        try:
            yield
        finally:
            self.proxy.hosts[host] = port


@contextlib.contextmanager
def tenant(folder: Path) -> Iterator[Tenant]:
    made = certificates.make(folder)
    with contextlib.ExitStack() as running:
        sign_in, manager = running.enter_context(SignIn(made)), running.enter_context(Manager(made))
        hosts = {"login.microsoftonline.com": sign_in.port, "management.azure.com": manager.port}
        proxy = running.enter_context(Proxy(hosts))
        yield Tenant(folder, made.ca, sign_in, manager, proxy)
