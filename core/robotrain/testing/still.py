"""A block in which nothing outside may change: no file written, no network asked, no program started."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MOVES = (
    *("socket.connect", "socket.sendto", "socket.sendmsg", "sqlite3.connect"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"),
    *("shutil.copyfile", "shutil.move", "shutil.rmtree"),
)
READING = ("open", "os.listdir", "os.scandir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

JOINING_SECONDS = 0.5
"""For threads that were started in the block, all together: one of them may wait for ever."""

_blocks: "list[Block]" = []
_listening = threading.Event()


class Block:
    """deeds: what was done in it. others: the threads that ran before it; those that start within it belong to it.
    foreign: while it is set, reading is a deed where it says so of a path.
    """

    def __init__(self) -> None:
        self.deeds: list[str] = []
        self.others = {one.ident for one in threading.enumerate()} - {threading.get_ident()}
        self.foreign: Callable[[str], bool] | None = None

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What happens meanwhile, in any thread."""
        if threading.get_ident() in self.others:
            return
        if event in MOVES or (event == "open" and _writes(arguments)):
            told = " ".join(str(one) for one in arguments[:2])
            self.deeds.append(f"{event} {told}"[:200])
        elif self.foreign and isinstance(arguments[0], (str, bytes)) and self.foreign(os.fsdecode(arguments[0])):
            self.deeds.append(f"read {os.fsdecode(arguments[0])}"[:200])

    def join(self) -> None:
        """Wait for what its threads still do."""
        until = time.monotonic() + JOINING_SECONDS
        for one in threading.enumerate():
            if one.ident not in self.others and one is not threading.current_thread():
                one.join(max(0.0, until - time.monotonic()))


@contextmanager
def still() -> Iterator[Block]:
    """Within it, what this thread, or one that starts meanwhile, does to the world outside fails the test at the end of
    the block: each deed is named.

    Python's own compiled modules are no deed.
    """
    if not _listening.is_set():
        sys.addaudithook(_hear)  # such a hook can never be taken away again: one for the process
        _listening.set()
    block = Block()
    _blocks.append(block)
    try:
        yield block
        block.join()
    finally:
        _blocks.remove(block)
    assert not block.deeds, "this is to change, ask and look up nothing, and it did: " + "; ".join(block.deeds)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _blocks and (event in MOVES or event in READING) and "__pycache__" not in str(arguments[:2]):
        for block in _blocks:
            block.hear(event, arguments)


def _writes(arguments: tuple[Any, ...]) -> bool:
    """Of `open`: path, mode, flags; who opens by flags alone has no mode. A number was heard of when it was made."""
    path, _, flags = arguments[:3]
    return not isinstance(path, int) and isinstance(flags, int) and bool(flags & WRITING)
