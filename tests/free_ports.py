"""Ports for the servers that tests start: a child process binds one seconds after it was chosen.

The system gives out ports from 32768 on to whoever asks for any, as most servers of these tests do: one that was chosen
there may be somebody else's by then. These are below.
"""

import contextlib
import random
import socket

PORTS = range(15000, 32000)
CHOICE = random.Random()  # not that of a test, which may have seeded it
TRIES = 1000


def find_free_port() -> int:
    """Return a port that no process listens on now."""
    return find_free_ports(1)[0]


def find_free_ports(count: int) -> range:
    """Return so many in a row. Raise RuntimeError if there are none."""
    for _ in range(TRIES):
        first = CHOICE.choice(PORTS[: len(PORTS) - count])
        ports = range(first, first + count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in ports:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return ports
    raise RuntimeError(f"no {count} free ports in a row from {PORTS.start} to {PORTS.stop}")
