"""What an address means now: the digest of what is listed below it. Nothing is downloaded."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from robotrain.plugin import SourceNotFound, SourceUnreachable

from robotrain_s3 import store, unread
from robotrain_s3.address import S3Prefix

SECONDS = 10.0

T = TypeVar("T")


def now(at: S3Prefix) -> str:
    """The digest of what lies there at this moment. Raises Absent, Unseen."""

    def listed() -> str:
        folder = store.Store(at)
        if found := folder.entries(SECONDS):
            return store.digest(found)
        raise folder.nothing()

    return _asked(at, listed)


def gone(at: S3Prefix, pin: str) -> str:
    """Why what was pinned cannot be had any more, as a sentence; empty while it can. Raises Unseen."""
    try:
        return "" if now(at) == pin else _sentence(unread.CHANGED.format(at=at).partition("\n")[0])
    except SourceNotFound as absent:
        return absent.why


def lacks(at: S3Prefix, paths: Sequence[str]) -> list[str]:
    """Those of some paths that no object has. Raises Absent, Unseen."""
    return _asked(at, lambda: [path for path in paths if not store.Store(at).has(path)])


def _asked(at: S3Prefix, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Exception as error:
        refused = unread.of(error, at)
        why, _, way = str(refused).partition("\n")
        raise (SourceNotFound if refused.absent else SourceUnreachable)(_sentence(why), way) from None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
