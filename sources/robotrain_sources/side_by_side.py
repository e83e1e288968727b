"""Work on many things at once, in threads that hold up neither Ctrl-C nor the end of the process.

Standard library only.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

Thing = TypeVar("Thing")
TICK = 0.5
"""Seconds between two looks at how far it is."""


def _silent() -> None:
    """Nobody looks."""


def each(
    work: Callable[[Thing, threading.Event], object],
    things: Iterable[Thing],
    at_once: int,
    tick: Callable[[], object] = _silent,
    grace: float = 0.0,
) -> None:
    """Do it for each; the first that fails stops all others, and so does Ctrl-C.

    work: looks at the event now and then, which says that nobody wants the rest. tick: is called here while work goes
    on. grace: seconds for which what is to stop is waited for; nobody waits for one that hears nothing from a network.
    """
    stopped, rest, taking, end = threading.Event(), iter(things), threading.Lock(), object()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def some() -> None:
        try:
            while not stopped.is_set():
                with taking:
                    thing = next(rest, end)
                if thing is end:
                    break
                work(thing, stopped)  # type: ignore[arg-type]
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    threads = [threading.Thread(target=some, daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    try:
        _wait(ended, len(threads), tick)
    except BaseException:
        stopped.set()
        until = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        raise


def _wait(ended: "queue.SimpleQueue[BaseException | None]", threads: int, tick: Callable[[], object]) -> None:
    while threads:
        try:
            error = ended.get(timeout=TICK)
        except queue.Empty:
            tick()
            continue
        if error:
            raise error
        threads -= 1
