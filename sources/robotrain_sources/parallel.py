"""Work in daemon threads: many items at once, or one question within a deadline.

Standard library only.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from robotrain.model.source import SourceError

Item = TypeVar("Item")
TICK_SECONDS = 0.5
"""Seconds between two looks at how far it is."""


def _ignore_tick() -> None:
    """Nobody looks."""


def run_parallel(
    process_item: Callable[[Item, threading.Event], object],
    items: Iterable[Item],
    thread_count: int,
    on_tick: Callable[[], object] = _ignore_tick,
    grace_seconds: float = 0.0,
) -> None:
    """Do it for each; the first that fails stops all others, and so does Ctrl-C.

    work: looks at the event now and then, which says that nobody wants the rest. tick: is called here while work goes
    on. grace: seconds for which what is to stop is waited for; nobody waits for one that hears nothing from a network.
    """
    stopped, rest, taking, end = threading.Event(), iter(items), threading.Lock(), object()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def some() -> None:
        try:
            while not stopped.is_set():
                with taking:
                    thing = next(rest, end)
                if thing is end:
                    break
                process_item(thing, stopped)  # type: ignore[arg-type]
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    threads = [threading.Thread(target=some, daemon=True) for _ in range(thread_count)]
    for thread in threads:
        thread.start()
    try:
        _wait_for_threads(ended, len(threads), on_tick)
    except BaseException:
        stopped.set()
        until = time.monotonic() + grace_seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        raise


def _wait_for_threads(
    ended: "queue.SimpleQueue[BaseException | None]", thread_count: int, on_tick: Callable[[], object]
) -> None:
    while thread_count:
        try:
            error = ended.get(timeout=TICK_SECONDS)
        except queue.Empty:
            on_tick()
            continue
        if error:
            raise error
        thread_count -= 1


def run_with_deadline(
    seconds: float, question: Callable[[], str], service: str, timeout_error: type[SourceError] = SourceError
) -> str:
    """What `ask` answers. Raises what it raises, and `late` when that takes longer.

    The time limits of a request start again with every byte; this one does not. service: as a sentence names it.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(question())
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise timeout_error(f"{service} gave no answer within {seconds:g} seconds.") from None
    if isinstance(answer, BaseException):
        raise answer
    return str(answer)
