"""One log of a job, read by ranges: no byte twice, whole lines only, through addresses that expire and connections that
break off.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from robotrain_azureml.service import refusals, signed_blob
from robotrain_azureml.service.signed_blob import EXPIRED, BlobError, Part

T = TypeVar("T")

WINDOW = 1 << 16
"""Bytes that are read of a log's end at first."""
TRIES, PAUSE = 3, 0.5
"""For a connection that breaks off without having brought anything, and the seconds before the next."""

Address = Callable[[bool], str]
"""The log's address; of another one than before, where that is asked for."""


class Reader:
    """What was read of it. offset: in bytes. restarted: whether it began anew since that was asked last."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._half = b""
        self.offset = 0
        self.restarted = False

    def new(self) -> Iterator[str]:
        """The whole lines that were not told yet. Raises BlobError."""
        for piece in self._bytes(self.offset):
            self.offset += len(piece)
            *lines, self._half = (self._half + piece).split(b"\n")
            yield from map(_text, lines)

    def last(self, count: int) -> list[str]:
        """The last so many whole lines of what there is; what comes after them is new. Raises BlobError."""
        length = self._renewing(signed_blob.size)
        start, found = length, b""
        while start and found.count(b"\n") <= count:
            before = max(0, start - max(WINDOW, 3 * len(found)))
            found, start = b"".join(self._bytes(before, start)) + found, before
        lines = found.split(b"\n")
        self.offset, self._half = start + len(found), lines.pop()
        return [_text(line) for line in lines[-count:]] if count else []  # there is one more where the first is cut

    def half(self) -> list[str]:
        """The line that has no end yet, if there is one; it counts as told."""
        rest, self._half = self._half, b""
        return [_text(rest)] if rest else []

    def _bytes(self, start: int, end: int | None = None) -> Iterator[bytes]:
        """All that is there now; a connection that breaks off is taken up where it did."""
        left = TRIES
        while end is None or start < end:
            try:
                with contextlib.closing(self._part(start, end)) as part:
                    if part.length is not None and part.length < self.offset:
                        self._begin_anew()
                        return
                    for piece in part.pieces():
                        start, left = start + len(piece), TRIES
                        yield piece
                return
            except BlobError as error:
                left -= 1
                if not left or not refusals.is_passing(error):
                    raise
                time.sleep(PAUSE)

    def _part(self, start: int, end: int | None) -> Part:
        return self._renewing(lambda url: signed_blob.part(url, start, end))

    def _renewing(self, ask: Callable[[str], T]) -> T:
        """What is answered; an address that is refused may have expired, and is asked for once more."""
        try:
            return ask(self._address(False))
        except BlobError as error:
            if error.status not in EXPIRED:
                raise
        return ask(self._address(True))

    def _begin_anew(self) -> None:
        self.offset, self._half, self.restarted = 0, b"", True


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="replace")
