"""Pins of local folders: what a folder holds when a job is sent, so that another content is noticed later."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robotrain.source import Source, SourceError

from robotrain_sources.local_path import digest, policy


def now(source: Source, role: str) -> str:
    """The digest of the folder, of a policy that of the model alone; empty where none lies on this machine.

    Raises SourceError.
    """
    part = _part(source, role)
    with _readable():
        return digest.of(part).pin if part else ""


def gone(source: Source, role: str, pin: str) -> str:
    """Why what was pinned cannot be had any more, as a sentence; empty while it can. Raises SourceError."""
    part = _part(source, role)
    if part is None:
        return f"There is no {'policy' if role in policy.POLICIES else 'folder'} at {source} any more."
    with _readable():
        return digest.unlike(part, pin)


def lacks(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Those of some paths that are not in the folder; none where the folder is not on this machine."""
    folder = Path(str(source))
    return [path for path in paths if not (folder / path).exists()] if folder.is_dir() else []


def _part(source: Source, role: str) -> Path | None:
    folder = Path(str(source))
    return policy.used(folder, role) if folder.is_dir() else None


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}.") from None
