"""Questions to a service while somebody waits at a prompt: an answer in time, or none."""

import queue
import threading
from collections.abc import Callable
from typing import Any

from robotrain.source import SourceError


def within(seconds: float, ask: Callable[[], str], service: str, late: type[SourceError] = SourceError) -> str:
    """What `ask` answers. Raises what it raises, and `late` when that takes longer.

    The time limits of a request start again with every byte; this one does not. service: as a sentence names it.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(ask())
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise late(f"{service} gave no answer within {seconds:g} seconds.") from None
    if isinstance(answer, BaseException):
        raise answer
    return str(answer)
