"""What stands in front of the blobs: it notes each request, refuses what it is told to refuse, and passes the rest on.

Azurite knows no roles, no network rules and no bad days; this does.
"""

import http.client
import ssl

from azure_stand_in.certificates import Certificates
from azure_stand_in.http_server import Handler, Server

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
MESSAGE = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>The stand-in says so.</Message></Error>'
)


class Front(Server):
    """The blob endpoint of the account."""

    def __init__(self, made: Certificates, store_port: int) -> None:
        self.store_port = store_port
        super().__init__(_Handler, made)


class _Handler(Handler):
    server: Front

    def setup(self) -> None:
        super().setup()
        unverified = ssl._create_unverified_context()
        self._store = http.client.HTTPSConnection("127.0.0.1", self.server.store_port, context=unverified, timeout=60)

    def finish(self) -> None:
        self._store.close()
        super().finish()

    def do_GET(self) -> None:
        body = self.received()
        if self.fault.status:
            content = MESSAGE.format(code=self.fault.code).encode()
            self.answer(self.fault.status, content, {"x-ms-error-code": self.fault.code})
            return
        came = self._asked(body)
        content = came.read()
        headers = {name: value for name, value in came.getheaders() if name.lower() not in HOP_BY_HOP}
        self.answer(came.status, content, headers, int(came.headers.get("Content-Length") or len(content)))

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _asked(self, body: bytes) -> http.client.HTTPResponse:
        """The store's answer; it closes connections that were idle, so it is asked once more on a new one."""
        try:
            self._store.request(self.command, self.path, body, dict(self.headers))
            return self._store.getresponse()
        except (http.client.HTTPException, OSError):
            self._store.close()
            self._store.request(self.command, self.path, body, dict(self.headers))
            return self._store.getresponse()
