"""Package indexes on this machine, also at an address that a program has built in: a proxy answers for every host."""

import base64
import hashlib
import http.server
import ssl
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import trustme


def wheel(folder: Path, name: str, version: str, needs: tuple[str, ...] = (), says: str = "") -> Path:
    """A small wheel: a module of its name that says something."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{name}.py": f"SAYS = {says!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},sha256={_digest(text)},{len(text)}\n" for file, text in files.items())
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(file, text)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Indexes:
    """A proxy. asked: each address it was asked for. folders: the wheels of an index, by a part of its address."""

    def __init__(self, folder: Path, folders: dict[str, Path]) -> None:
        self.folder = folder
        self.folders = folders
        self.asked: list[str] = []
        self.authority = folder / "authority.pem"
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.authority)

    def answer(self, address: str) -> bytes | None:
        """A page of an index, or a wheel."""
        self.asked.append(address)
        folder = next((folder for part, folder in self.folders.items() if part in address), None)
        if folder is None:
            return None
        name = unquote(address.rstrip("/").rpartition("/")[2])
        if name.endswith(".whl"):
            return (folder / name).read_bytes() if (folder / name).exists() else None
        wheels = [path for path in folder.glob("*.whl") if path.name.partition("-")[0] == name.replace("-", "_")]
        links = "".join(f'<a href="{path.name}#sha256={sha256(path)}">{path.name}</a>' for path in wheels)
        return f"<html><body>{links}</body></html>".encode() if wheels else None

    def certificate(self, host: str) -> ssl.SSLContext:
        """What makes us that host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context


@contextmanager
def served(indexes: Indexes) -> Iterator[dict[str, str]]:
    """While it is open, programs with this environment get everything from `indexes`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        host = ""

        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.close_connection = False  # urllib asks in HTTP/1.0
            self.host = self.path.partition(":")[0]
            with lock:
                context = indexes.certificate(self.host)
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def do_GET(self, body: bool = True) -> None:
            content = indexes.answer(f"{self.host}{self.path}")
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "text/html" if not self.path.endswith(".whl") else "application/zip")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"" if body else b"")

        def do_HEAD(self) -> None:
            self.do_GET(body=False)

        def log_message(self, *arguments: object) -> None:
            pass

    lock = threading.Lock()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        proxy = f"http://127.0.0.1:{server.server_port}"
        yield {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "SSL_CERT_FILE": str(indexes.authority)}
    finally:
        server.shutdown()
        server.server_close()
