"""Azure on one machine, without a line of the product knowing: real host names, a proxy that leads them here, and TLS.

Azurite keeps the blobs. In front of it stands what can refuse, and beside it what signs people in. A program is led
here by its environment alone (`AzureStandIn.environ`), so the real SDK and the product's strict addresses are used.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from azure_stand_in import azurite, certificates
from azure_stand_in.blobs import Blobs
from azure_stand_in.front import Fault, Front
from azure_stand_in.proxy import Proxy
from azure_stand_in.sign_in import SECRET, TENANT, SignIn

__all__ = ["CLIENT", "AzureStandIn", "Fault", "started"]

CLIENT = "c1000000-0000-0000-0000-000000000001"


class AzureStandIn:
    """One storage account and a tenant. blobs: to fill it. front: what was asked of it, and what it refuses."""

    def __init__(self, account: str, ca: Path, blobs: Blobs, front: Front, proxy: Proxy) -> None:
        self.account = account
        self.blobs = blobs
        self.front = front
        self._ca = ca
        self._proxy = proxy

    @property
    def way(self) -> Mapping[str, str]:
        """The environment that leads a program here, and nowhere else, without an identity."""
        return {
            "HTTPS_PROXY": self._proxy.address,
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self._ca),
            "SSL_CERT_FILE": str(self._ca),
        }

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of a program with an identity."""
        signed_in = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET}
        return {**self.way, **signed_in}

    def url(self, container: str, prefix: str) -> str:
        """The address of a folder of blobs."""
        return f"https://{self.account}.blob.core.windows.net/{container}/{prefix}"


@contextlib.contextmanager
def started(folder: Path, account: str = "rtaccount") -> Iterator[AzureStandIn]:
    """A running stand-in whose certificates and log lie in `folder`."""
    made = certificates.make(folder)
    with contextlib.ExitStack() as running:
        store = running.enter_context(azurite.running(folder, account, made))
        front = running.enter_context(Front(made, store))
        sign_in = running.enter_context(SignIn(made))
        hosts = {f"{account}.blob.core.windows.net": front.port, "login.microsoftonline.com": sign_in.port}
        proxy = running.enter_context(Proxy(hosts))
        yield AzureStandIn(account, made.ca, Blobs(account, store), front, proxy)
