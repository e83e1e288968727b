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
from azure_stand_in.sign_in import Managed
from azure_stand_in.tenant import CLIENT, Tenant, tenant

__all__ = ["CLIENT", "AzureStandIn", "Fault", "started", "tenant"]


@dataclass(frozen=True)
class AzureStandIn(Tenant):
    """A tenant with a storage account.

    blobs: to fill the account. front: what was asked of it, and what it refuses. managed: who asked for the tokens of a
    container.
    """

    account: str
    blobs: Blobs
    front: Front
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
        managed = running.enter_context(Managed(CLIENT))
        here.proxy.hosts[f"{account}.blob.core.windows.net"] = front.port
        yield AzureStandIn(**vars(here), account=account, blobs=Blobs(account, port), front=front, managed=managed)
