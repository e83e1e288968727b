"""One direction of a connection: bytes as they come, or each piece so many seconds late, as on a long line.

Nothing is decrypted, so that what stands at both ends costs what it costs alone.
"""

import socket
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

from azure_stand_in.fault import ABORT

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
