"""Pins: the digest of what is listed below an address now. Nothing is downloaded."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from robotrain.plugin import SourceNotFound, SourceUnreachable

from robotrain_s3 import error_text, store
from robotrain_s3.address import S3Prefix

LIST_SECONDS = 10.0

T = TypeVar("T")


def resolve(at: S3Prefix) -> str:
    """Return the digest of what is there now. Raise SourceNotFound, SourceUnreachable."""

    def read_digest() -> str:
        folder = store.Store(at)
        if found := folder.list_entries(LIST_SECONDS):
            return store.digest(found)
        raise folder.make_empty_error()

    return _ask(at, read_digest)


def explain_lost_pin(at: S3Prefix, pin: str) -> str:
    """Return why what was pinned is no longer there, as a sentence; empty if it is. Raise SourceUnreachable."""
    try:
        return "" if resolve(at) == pin else _make_sentence(error_text.CHANGED.format(at=at))
    except SourceNotFound as missing:
        return missing.why


def find_missing(at: S3Prefix, paths: Sequence[str]) -> list[str]:
    """Return those of some paths that no object has. Raise SourceNotFound, SourceUnreachable."""
    return _ask(at, lambda: [path for path in paths if not store.Store(at).has(path)])


def _ask(at: S3Prefix, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Exception as error:
        failure = error_text.make_read_error(error, at)
        kind = SourceNotFound if failure.not_found else SourceUnreachable
        raise kind(_make_sentence(failure.sentence), failure.way) from None


def _make_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
