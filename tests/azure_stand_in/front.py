"""What stands in front of the blobs: it notes each request, refuses what it is told to refuse, and passes the rest on.

Azurite knows no roles, no network rules and no bad days; this does.
"""

import http.client
import ssl
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

from azure_stand_in.azurite import Store
from azure_stand_in.certificates import Certificates
from azure_stand_in.fault import Fault, done, meeting, send
from azure_stand_in.serving import Server

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
MESSAGE = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>The stand-in says so.</Message></Error>'
)


class Front(Server):
    """The blob endpoint of the account. requests: `METHOD path?query`, as they came. faults: the first that fits."""

    def __init__(self, made: Certificates, store: Store) -> None:
        self.store = store
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        super().__init__(_Handler, made)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, and its own to the store."""

    protocol_version = "HTTP/1.1"
    server: Front

    def setup(self) -> None:
        super().setup()
        unverified = ssl._create_unverified_context()
        self._store = http.client.HTTPSConnection("127.0.0.1", self.server.store.port, context=unverified, timeout=60)

    def finish(self) -> None:
        self._store.close()
        super().finish()

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = meeting(self, self.server.faults, self.server.ended)
        if fault.status:
            headers = {"x-ms-error-code": fault.code, **fault.headers}
            self._answer(fault.status, headers, MESSAGE.format(code=fault.code).encode(), fault)
        else:
            self._pass_on(body, fault)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _pass_on(self, body: bytes, fault: Fault) -> None:
        came = self._asked(body)
        content = came.read()
        headers = {name: value for name, value in came.getheaders() if name.lower() not in HOP_BY_HOP}
        self._answer(came.status, headers, content, fault, int(came.headers.get("Content-Length") or len(content)))

    def _asked(self, body: bytes) -> http.client.HTTPResponse:
        """The store's answer; it closes connections that were idle, so it is asked once more on a new one."""
        try:
            self._store.request(self.command, self.path, body, dict(self.headers))
            return self._store.getresponse()
        except (http.client.HTTPException, OSError):
            self._store.close()
            self._store.request(self.command, self.path, body, dict(self.headers))
            return self._store.getresponse()

    def _answer(
        self, status: int, headers: Mapping[str, str], content: bytes, fault: Fault, length: int | None = None
    ) -> None:
        done(fault)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            send(self, content, fault, self.server.ended)
