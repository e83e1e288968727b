"""The bad days of a service: which requests meet one, and what it does to the answer."""

import contextlib
import os
import re
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

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
        """What the answer says beside its status."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


NONE = Fault("")


class Ended:
    """Set when a server stops; ends every wait of its answers."""

    def __init__(self) -> None:
        self._heard, self._said = socket.socketpair()

    def set(self) -> None:
        """It stops now."""
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


def reset(connection: socket.socket) -> None:
    """Close it so that its other end hears a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    os.close(connection.detach())
