"""A small HTTP server in this process, on a free port, with faults that a test requests."""

import contextlib
import http.client
import json
import os
import re
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import Any
from unittest import mock

from azure_stand_in.certificates import Certificates


class Server(ThreadingHTTPServer):
    """Serves with `handler`, with TLS when there are certificates; `port` is where. ended: ends waits of answers.

    requests: `METHOD path?query`, as they came. faults: the first that fits. calls: `METHOD address`, as they came;
    several servers may share one list.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, handler: type[BaseHTTPRequestHandler], made: Certificates | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.ended = Ended()
        self.requests: list[str] = []
        self.faults: list[Fault] = []
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


ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: what closes then is a reset on the wire."""


@dataclass
class Fault:
    """What to do to requests. match: a pattern for `METHOD path?query`. times: how often, then no more; None for ever.

    after: how many that match pass unharmed first. status, code: what is answered instead; retry_after: the header
    that goes with it, in seconds. latency: seconds before the answer. act: called once, before the request is passed
    on: a blob that changes meanwhile. then: called once, when it was done, before it is answered. gone: nothing is
    done, and the connection ends without an answer; lost: it was done, and the connection ends likewise.

    Of the body: cut: it breaks off half way; reset: likewise, and with a reset; stall: half way there are so many
    seconds without a byte, then the rest; flip: one of its bytes is another.
    """

    match: str
    status: int = 0
    code: str = ""
    cut: bool = False
    flip: bool = False
    times: int | None = None
    after: int = 0
    reset: bool = False
    stall: float = 0.0
    latency: float = 0.0
    retry_after: int | None = None
    act: Callable[[], object] | None = None
    gone: bool = False
    then: Callable[[], object] | None = None
    lost: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.act or self.then) and self.times is None:
            self.times = 1

    def takes(self, request: str) -> bool:
        """Whether it is meant, and not yet used up."""
        with self._lock:
            if self.times == 0 or not re.search(self.match, request):
                return False
            if self.after:
                self.after -= 1
                return False
            self.times = self.times and self.times - 1
            return True

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


NONE = Fault("")
NOTHING: Mapping[str, str] = MappingProxyType({})


class Ended:
    """Set when a server stops; ends every wait of its answers."""

    def __init__(self) -> None:
        self._heard, self._said = socket.socketpair()

    def set(self) -> None:
        self._said.close()
        self._heard.close()

    def wait(self, caller: socket.socket, seconds: float) -> bool:
        """Let time pass; whether caller and server are both still there after it."""
        with contextlib.suppress(OSError, ValueError):  # the caller's socket is closed already
            return not select.select([caller, self._heard], [], [], seconds)[0]
        return False


def meeting(handler: BaseHTTPRequestHandler, faults: Sequence[Fault], ended: Ended) -> Fault:
    """What the request meets, the first that takes it, when what it does before the answer is done; else `NONE`.

    Raises ConnectionError when caller or server left meanwhile, or the connection ends here.
    """
    request = f"{handler.command} {handler.path}"
    server: Any = handler.server
    server.calls.append(f"{handler.command} https://{handler.headers['Host']}{handler.path}")
    fault = next((fault for fault in tuple(faults) if fault.takes(request)), NONE)
    if fault.act:
        fault.act()
    if fault.latency and not ended.wait(handler.connection, fault.latency):
        raise ConnectionError("nobody waits for the answer")
    if fault.gone:
        raise ConnectionError("nothing is answered")
    return fault


def done(fault: Fault) -> None:
    """What a fault does when the request was done. Raises ConnectionError when the answer is lost."""
    if fault.then:
        fault.then()
    if fault.lost:
        raise ConnectionError("the answer is lost")


def send(handler: BaseHTTPRequestHandler, content: bytes, fault: Fault, ended: Ended) -> None:
    """The body of an answer whose head was sent, as the fault has it."""
    if fault.flip and content:
        content = content[:-1] + bytes([content[-1] ^ 1])
    half = len(content) // 2
    if not (fault.cut or fault.reset or fault.stall):
        handler.wfile.write(content)
        return
    handler.wfile.write(content[:half])
    if fault.stall and ended.wait(handler.connection, fault.stall) and not (fault.cut or fault.reset):
        handler.wfile.write(content[half:])
        return
    handler.close_connection = True
    if fault.reset:
        reset(handler.connection)


class Handler(BaseHTTPRequestHandler):
    """One connection. fault: what the request met."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def received(self) -> bytes:
        """The body of the request, which is noted. Raises ConnectionError when a fault ends the connection."""
        server: Any = self.server
        server.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fault = meeting(self, server.faults, server.ended)
        return body

    def answer(
        self, status: int, content: bytes = b"", headers: Mapping[str, str] = NOTHING, length: int | None = None
    ) -> None:
        """The whole of an answer, as the fault has it. length: what is told, of one to HEAD."""
        done(self.fault)
        self.send_response_only(status)
        own = {"Content-Length": str(len(content) if length is None else length)}
        for name, value in {**headers, **self.fault.headers, **own}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            server: Any = self.server
            send(self, content, self.fault, server.ended)

    def answer_json(self, status: int, content: Any, headers: Mapping[str, str] = NOTHING) -> None:
        """The same with JSON; without a body for None."""
        body = b"" if content is None else json.dumps(content).encode()
        self.answer(status, body, {"Content-Type": "application/json", **headers})


def reset(connection: socket.socket) -> None:
    """Close it so that its other end hears a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    os.close(connection.detach())


class CutShort(BaseException):
    """Nobody catches it by chance."""


@contextlib.contextmanager
def cut_short(method: str, path: str, answered: bool = False) -> Iterator[None]:
    """Until its end, the first request of this method whose path holds `path` is the last. answered: when it was done,
    and its answer is not heard; without it, before it is made.
    """
    connection, waiting = http.client.HTTPConnection, []
    ask, hear = connection.putrequest, connection.getresponse

    def asks(self: Any, verb: str, url: str, *args: Any, **how: Any) -> None:
        if verb == method and path in url:
            waiting.append(self)
            if not answered:
                raise CutShort
        ask(self, verb, url, *args, **how)

    def hears(self: Any) -> Any:
        heard = hear(self)
        if self in waiting:
            raise CutShort
        return heard

    with mock.patch.object(connection, "putrequest", asks), mock.patch.object(connection, "getresponse", hears):
        yield
