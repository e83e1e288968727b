"""One process at a time, on one machine."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from robotrain_runtime.stop import Stop


@contextmanager
def held(path: Path, stop: Stop, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file at `path`, which is made and stays. waiting: called once when another process holds it.

    Raises Stopped while it waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            with stop.armed():
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
