"""Several files at a time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def each(act: Callable[[T], None], items: Iterable[T], connections: int) -> None:
    """Do `act` on every item. The first failure is raised, and nothing more is begun."""
    with ThreadPoolExecutor(connections) as pool:
        try:
            for done in [pool.submit(act, item) for item in items]:
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
