"""A CONNECT proxy that leads Azure's host names to this machine, and no other name anywhere."""

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType

from azure_stand_in.http_server import ABORT

REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Proxy:
    """hosts: the ports that names stand for. late: the seconds that each piece on its way to one of them takes.

    Both may change meanwhile. refused: the names asked for that are none.
    """

    def __init__(self, hosts: Mapping[str, int]) -> None:
        self.hosts = dict(hosts)
        self.late: dict[str, float] = {}
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.refused: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                caller, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with suppress(OSError), caller:
            host, _, port = _asked(caller).rpartition(":")
            if port != "443" or host not in self.hosts:
                self.refused.append(host)
                caller.sendall(REFUSED)
                return
            with socket.create_connection(("127.0.0.1", self.hosts[host])) as there:
                caller.sendall(CONNECTED)
                for end in (caller, there):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=carry, args=(there, caller), daemon=True)
                back.start()
                carry(caller, there, self.late.get(host, 0.0))
                back.join()


def _asked(caller: socket.socket) -> str:
    """`HOST:PORT` of the CONNECT line."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = caller.recv(4096)
        if not piece:
            raise OSError("it said nothing")
        head += piece
    return head.split()[1].decode()


PIECE = 1 << 18


def carry(come: socket.socket, go: socket.socket, late: float = 0.0) -> None:
    """Until it ends. A reset goes through as one: without an end before it, when the socket is closed."""
    with suppress(OSError):
        try:
            _carry_late(come, go, late) if late else _carry(come, go)
            go.shutdown(socket.SHUT_WR)
        except ConnectionResetError:
            go.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            go.shutdown(socket.SHUT_RD)


def _carry(come: socket.socket, go: socket.socket) -> None:
    buffer = memoryview(bytearray(PIECE))
    while count := come.recv_into(buffer):
        go.sendall(buffer[:count])


def _carry_late(come: socket.socket, go: socket.socket, late: float) -> None:
    """Every piece as late as it is meant to be, not later for those before it."""
    waiting: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
    writing = threading.Thread(target=_when_due, args=(waiting, go), daemon=True)
    writing.start()
    try:
        while piece := come.recv(PIECE):
            waiting.put((time.monotonic() + late, piece))
    finally:
        waiting.put((time.monotonic() + late, b""))
        writing.join()


def _when_due(waiting: "SimpleQueue[tuple[float, bytes]]", go: socket.socket) -> None:
    with suppress(OSError):
        while (due := waiting.get())[1]:
            time.sleep(max(0.0, due[0] - time.monotonic()))
            go.sendall(due[1])
