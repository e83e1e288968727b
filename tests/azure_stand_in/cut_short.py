"""A submit that ends in the middle of its requests, as if it were killed there."""

import contextlib
import http.client
from collections.abc import Iterator
from typing import Any
from unittest import mock


class CutShort(BaseException):
    """Nobody catches it by chance."""


@contextlib.contextmanager
def cut_short(method: str, path: str, answered: bool = False) -> Iterator[None]:
    """Until its end, the first request of this method whose path holds `path` is the last. answered: when it was done,
    and its answer is not heard; without it, before it is made.
    """
    connection, waiting = http.client.HTTPConnection, []
    ask, hear = connection.putrequest, connection.getresponse

    def asks(self: Any, verb: str, url: str, *given: Any, **how: Any) -> None:
        if verb == method and path in url:
            waiting.append(self)
            if not answered:
                raise CutShort
        ask(self, verb, url, *given, **how)

    def hears(self: Any) -> Any:
        heard = hear(self)
        if self in waiting:
            raise CutShort
        return heard

    with mock.patch.object(connection, "putrequest", asks), mock.patch.object(connection, "getresponse", hears):
        yield
