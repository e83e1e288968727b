"""What stands in front of the blobs: it notes each request, refuses what it is told to refuse, and passes the rest on.

Azurite knows no roles, no network rules and no bad days; this does.
"""

import http.client
import re
import ssl
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from azure_stand_in.azurite import Store
from azure_stand_in.certificates import Certificates
from azure_stand_in.serving import Server

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
MESSAGE = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>The stand-in says so.</Message></Error>'
)


@dataclass
class Fault:
    """What to do to requests. match: a pattern for `METHOD path?query`. times: how often, then no more; None for ever.

    status, code: what is answered instead. cut: the body breaks off half way. flip: one of its bytes is another.
    """

    match: str
    status: int = 0
    code: str = ""
    cut: bool = False
    flip: bool = False
    times: int | None = None

    def takes(self, request: str) -> bool:
        """Whether it is meant, and not yet used up."""
        if self.times == 0 or not re.search(self.match, request):
            return False
        self.times = self.times and self.times - 1
        return True


class Front(Server):
    """The blob endpoint of the account. requests: `METHOD path?query`, as they came. faults: the first that fits."""

    def __init__(self, made: Certificates, store: Store) -> None:
        self.store = store
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        super().__init__(made, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def do_GET(self) -> None:
        request = f"{self.command} {self.path}"
        self.server.requests.append(request)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = next((fault for fault in self.server.faults if fault.takes(request)), Fault(""))
        if fault.status:
            self._answer(fault.status, {"x-ms-error-code": fault.code}, MESSAGE.format(code=fault.code).encode())
        else:
            self._pass_on(body, fault)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _pass_on(self, body: bytes, fault: Fault) -> None:
        unverified = ssl._create_unverified_context()
        store = http.client.HTTPSConnection("127.0.0.1", self.server.store.port, context=unverified, timeout=60)
        store.request(self.command, self.path, body, dict(self.headers))
        came = store.getresponse()
        content = came.read()
        headers = {name: value for name, value in came.getheaders() if name.lower() not in HOP_BY_HOP}
        if fault.flip and content:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._answer(came.status, headers, content, int(came.headers.get("Content-Length") or len(content)), fault.cut)
        store.close()

    def _answer(
        self, status: int, headers: dict[str, str], content: bytes, length: int | None = None, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut
