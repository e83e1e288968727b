"""Azure on one machine, without a line of the product knowing: real host names, a proxy that leads them here, and TLS.

Azurite keeps the blobs. In front of it stands what can refuse, and beside it what signs people in. A program is led
here by its environment alone (`AzureStandIn.environ`), so the real SDK and the product's strict addresses are used.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from azure_stand_in import azurite, keys
from azure_stand_in.blobs import Blobs
from azure_stand_in.front import Front
from azure_stand_in.http_server import Fault
from azure_stand_in.large_account import Many
from azure_stand_in.sign_in import Managed
from azure_stand_in.tenant import CLIENT, Tenant, tenant

__all__ = ["CLIENT", "AzureStandIn", "Fault", "started", "tenant"]

MANY = "rtmany"


@dataclass(frozen=True)
class AzureStandIn(Tenant):
    """A tenant with a storage account, and an account that makes its blobs up.

    blobs: to fill the account. front: what was asked of it, and what it refuses. many: the other account. managed: who
    asked for the tokens of a container.
    """

    account: str
    blobs: Blobs
    front: Front
    many: Many
    managed: Managed

    @property
    def managed_identity(self) -> Mapping[str, str]:
        """That of a container that a platform gave the identity of `CLIENT` to."""
        return {**self.way, **self.managed.environ, "AZURE_CLIENT_ID": CLIENT}

    @property
    def key(self) -> str:
        return keys.KEY

    def sas(self, container: str, permissions: str = "rl", seconds: int = 3600) -> str:
        """A signature for one container, as the query of an address. seconds: how long it holds."""
        return keys.sas(self.account, container, permissions, seconds)

    def url(self, container: str, prefix: str) -> str:
        return f"https://{self.account}.blob.core.windows.net/{container}/{prefix}"

    def url_of_many(self, count: int, prefix: str) -> str:
        """The address of a folder with so many blobs, which are made up as they are asked for."""
        return f"https://{MANY}.blob.core.windows.net/n{count}/{prefix}"

    @contextlib.contextmanager
    def directly(self, latency: float = 0.0) -> Iterator[None]:
        """Meanwhile callers reach Azurite past the front, each piece they send so many seconds late: for figures."""
        host = f"{self.account}.blob.core.windows.net"
        self.proxy.hosts[host], self.proxy.late[host] = self.front.store_port, latency
        try:
            yield
        finally:
            self.proxy.hosts[host], self.proxy.late[host] = self.front.port, 0.0


@contextlib.contextmanager
def started(folder: Path, account: str = "rtaccount") -> Iterator[AzureStandIn]:
    """A running stand-in whose certificates and logs lie in `folder`."""
    with contextlib.ExitStack() as running:
        here = running.enter_context(tenant(folder))
        made = here.certificates
        port = running.enter_context(azurite.running(folder, account, made))
        front = running.enter_context(Front(made, port))
        many = running.enter_context(Many(made))
        managed = running.enter_context(Managed(CLIENT))
        blob = "blob.core.windows.net"
        here.proxy.hosts |= {f"{account}.{blob}": front.port, f"{MANY}.{blob}": many.port}
        yield AzureStandIn(
            **vars(here), account=account, blobs=Blobs(account, port), front=front, many=many, managed=managed
        )
