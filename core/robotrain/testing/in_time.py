"""What must return by itself, while nobody helps."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 20.0
"""For what should take a moment."""


def in_time(function: Callable[[], T], what: str) -> T:
    """What `function` returns. Raises what it raises, and AssertionError when it does not return."""
    found: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            found.append(function())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    if failure:
        raise failure[0]
    assert not thread.is_alive(), f"{what} did not return by itself"
    return found[0]
