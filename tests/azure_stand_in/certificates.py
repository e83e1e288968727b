"""A certificate authority for one test session, and one server certificate for all of Azure's names."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

NAMES = (
    "*.blob.core.windows.net",
    "login.microsoftonline.com",
    "management.azure.com",
    "*.api.azureml.ms",
    "*.vault.azure.net",
    "localhost",
)
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


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
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority = folder / "ca.key"
    _openssl("req", "-x509", *CURVE, "-keyout", authority, "-out", made.ca, "-days", 2, "-subj", "/CN=robotrain tests")
    names = ",".join(f"DNS:{name}" for name in NAMES)
    request = folder / "server.csr"
    _openssl("req", "-new", *CURVE, "-keyout", made.key, "-out", request, "-subj", "/CN=stand-in")
    (folder / "names.txt").write_text(f"subjectAltName={names},IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    signed = ("-CA", made.ca, "-CAkey", authority, "-CAcreateserial", "-extfile", folder / "names.txt")
    _openssl("x509", "-req", "-in", request, *signed, "-out", made.server, "-days", 2)
    return made


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
