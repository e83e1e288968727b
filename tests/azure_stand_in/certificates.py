"""A certificate authority for one test session, and one server certificate for all of Azure's names."""

from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import trustme

NAMES = (
    "*.blob.core.windows.net",
    "login.microsoftonline.com",
    "management.azure.com",
    "*.api.azureml.ms",
    "*.vault.azure.net",
    "localhost",
    "127.0.0.1",
)


@dataclass(frozen=True)
class Certificates:
    """Files in PEM. ca: what a program is told to trust."""

    ca: Path
    server: Path
    key: Path

    def context(self) -> SSLContext:
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.key)
        return context


def make(folder: Path) -> Certificates:
    """New certificates in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    server = authority.issue_cert(*NAMES)
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority.cert_pem.write_to_path(made.ca)
    server.private_key_pem.write_to_path(made.key)
    for position, certificate in enumerate(server.cert_chain_pems):
        certificate.write_to_path(made.server, append=position > 0)
    return made
