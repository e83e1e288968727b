"""The pin of a folder as it is kept: what all its bytes are, and what a look at it sees. Standard library only."""

from dataclasses import dataclass

PREFIX = "folder"
FORM = (64, 32)
"""Hex digits of the two digests."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What a folder holds. hex: the digest of all bytes. seen: that of what a look reads. files, size: altogether."""

    hex: str
    seen: str
    files: int
    size: int

    @property
    def pin(self) -> str:
        """As it is kept."""
        return f"{PREFIX}:{self.hex}:{self.seen}:{self.files}:{self.size}"

    def __str__(self) -> str:
        return f"{self.files} files of {self.size:,} bytes"


def read(pin: str) -> Digest | None:
    """The digest that a pin says; None for the pin of a robotrain that looked at folders in another way."""
    prefix, *parts = pin.split(":")
    if prefix != PREFIX or len(parts) != 4 or not all(map(str.isdecimal, parts[2:])):
        return None
    if tuple(map(len, parts[:2])) != FORM:
        return None
    return Digest(parts[0], parts[1], int(parts[2]), int(parts[3]))


def difference(then: Digest, now: Digest) -> str:
    """In what two digests differ, in some words; empty when they do not."""
    if then == now:
        return ""
    same = (then.files, then.size) == (now.files, now.size)
    return f"as large as then ({now}), but with other content" if same else f"{then} then, {now} now"
