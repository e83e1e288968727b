"""A block in which nothing outside may change: no file written, no network asked, no program started."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOVES = (
    *("socket.connect", "socket.sendto", "socket.sendmsg", "sqlite3.connect"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"),
    *("shutil.copyfile", "shutil.move", "shutil.rmtree"),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

JOINING_SECONDS = 0.5
"""For threads that were started in the block, all together: one of them may wait for ever."""

_blocks: "list[_Block]" = []
_listening = threading.Event()


class _Block:
    """deeds: what was done in it. others: the threads that ran before it; those that start within it belong to it."""

    def __init__(self) -> None:
        self.deeds: list[str] = []
        self.others = {one.ident for one in threading.enumerate()} - {threading.get_ident()}

    def join(self) -> None:
        """Wait for what its threads still do."""
        until = time.monotonic() + JOINING_SECONDS
        for one in threading.enumerate():
            if one.ident not in self.others and one is not threading.current_thread():
                one.join(max(0.0, until - time.monotonic()))


@contextmanager
def still() -> Iterator[None]:
    """Within it, what this thread, or one that starts meanwhile, does to the world outside fails the test at the end of
    the block: each deed is named.

    Python's own compiled modules are no deed.
    """
    if not _listening.is_set():
        sys.addaudithook(_hear)  # such a hook can never be taken away again: one for the process
        _listening.set()
    block = _Block()
    _blocks.append(block)
    try:
        yield
        block.join()
    finally:
        _blocks.remove(block)
    assert not block.deeds, "this is to change and to ask nothing, and it did: " + "; ".join(block.deeds)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _blocks or not (event in MOVES or (event == "open" and _writes(arguments))):
        return
    told = " ".join(str(one) for one in arguments[:2])
    if "__pycache__" in told:
        return
    for block in _blocks:
        if threading.get_ident() not in block.others:
            block.deeds.append(f"{event} {told}"[:200])


def _writes(arguments: tuple[Any, ...]) -> bool:
    """Of `open`: path, mode, flags; who opens by flags alone has no mode. A number was heard of when it was made."""
    path, _, flags = arguments[:3]
    return not isinstance(path, int) and isinstance(flags, int) and bool(flags & WRITING)
