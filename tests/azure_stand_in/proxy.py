"""A CONNECT proxy that leads Azure's host names to this machine, and no other name anywhere."""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from azure_stand_in.line import carry

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
