"""A web server of this machine, for tests that need an address that answers."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that logs nothing. Define `do_GET`, which calls `answer`."""

    def answer(self, content: bytes = b"", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serve(handler: Callable[..., Any]) -> Iterator[str]:
    """Serve with a handler; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Webhook:
    """A webhook, and what was posted to it: path, type of the content, content."""

    def __init__(self, address: str, taken: list[tuple[str, str, str]]) -> None:
        self.address, self.taken = f"{address}/services/T0SECRET", taken

    @property
    def texts(self) -> list[str]:
        """The texts of the messages."""
        return [json.loads(body)["text"] for _, _, body in self.taken]


@contextlib.contextmanager
def serve_webhook() -> Iterator[Webhook]:
    """Serve a webhook; one whose address contains `withdrawn` answers 404, and with `moved` it sends on."""
    taken = list[tuple[str, str, str]]()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            taken.append((self.path, self.headers["Content-Type"], body))
            if "moved" in self.path:
                self.send_response(302)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
            else:
                self.answer(b"ok", 404 if "withdrawn" in self.path else 200)

        def do_GET(self) -> None:
            self.answer(b"nothing was posted here")

    with serve(Handler) as address:
        yield Webhook(address, taken)
