"""A small HTTP server in this process, on a free port, until its block ends."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from azure_stand_in.certificates import Certificates
from azure_stand_in.fault import Ended


class Server(ThreadingHTTPServer):
    """Serves with `handler`, with TLS when there are certificates; `port` is where. ended: ends waits of answers.

    calls: `METHOD address`, as they came; several servers may share one list.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, handler: type[BaseHTTPRequestHandler], made: Certificates | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.ended = Ended()
        self.calls: list[str] = []
        self._tls = made.context() if made else None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> "Server":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer one connection. When TLS begins on one whose caller is gone, Python leaks it: so this looks first."""
        if self._tls is None:
            super().finish_request(request, client_address)
        elif request.recv(1, socket.MSG_PEEK):
            with self._tls.wrap_socket(request, server_side=True) as safe:
                super().finish_request(safe, client_address)
                self.shutdown_request(safe)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or was made to, is no news."""


def answer_json(handler: BaseHTTPRequestHandler, status: int, content: Any) -> None:
    """The whole of an answer."""
    body = json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
