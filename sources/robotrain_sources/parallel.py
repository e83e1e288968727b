"""Calls in daemon threads: many items in parallel, or one call with a deadline."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from robotrain.model.source import SourceError
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def run_parallel(
    process_item: Callable[[Item, threading.Event], object],
    items: Iterable[Item],
    thread_count: int,
    grace_seconds: float = 0.0,
) -> None:
    """Process every item; the first failure stops all threads, and so does Ctrl-C.

    `process_item` should return early once its event is set. After a failure, threads are waited for `grace_seconds`
    at most: one may hang on a network.
    """
    stopped, remaining_items, items_lock, end = threading.Event(), iter(items), threading.Lock(), object()
    thread_results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def process_items() -> None:
        try:
            while not stopped.is_set():
                with items_lock:
                    item = next(remaining_items, end)
                if item is end:
                    break
                process_item(item, stopped)  # type: ignore[arg-type]
        except BaseException as error:
            thread_results.put(error)
        else:
            thread_results.put(None)

    threads = [threading.Thread(target=process_items, daemon=True) for _ in range(thread_count)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            if error := thread_results.get():
                raise error
    except BaseException:
        stopped.set()
        deadline = time.monotonic() + grace_seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        raise


def run_with_deadline(
    seconds: float, question: Callable[[], Answer], service: str, timeout_error: type[SourceError] = SourceError
) -> Answer:
    """Return what `question` returns. Raise what it raises, and `timeout_error` after `seconds`.

    Unlike the timeout of a request, this one does not start again with every byte. `service` names who is asked.
    """
    try:
        return DeadlineFuture(question).result(seconds)
    except DeadlineExceeded:
        raise timeout_error(f"{service} did not answer within {seconds:g} seconds.") from None
