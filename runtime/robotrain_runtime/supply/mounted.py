"""Sources that the platform itself brought to the machine before the runtime started."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from robotrain_runtime import halves, mounts
from robotrain_runtime.checkpoint import MANIFEST
from robotrain_runtime.document import JobDocument, Mount, Source
from robotrain_runtime.finding import Finding, of_sentence
from robotrain_runtime.half import Place, SourceHalf


def look(document: JobDocument, source: Source, mount: Mount, at: Place) -> tuple[Path | None, list[Finding]]:
    """The folder that a mounted source lies in, None for nowhere; and what is wrong with it. Raises Failed."""
    origin = mount.origin or source.uri
    try:
        outer = mounts.place(mount.folder)
    except mounts.Unnamed as name:
        title = f"{name} is not set, so nobody knows where {origin} lies"
        return None, [Finding(code="mount-missing", title=title, given=source.uri)]
    try:
        folders = _folders(outer, _begins(document, source))
    except OSError as error:
        title = f"{origin} cannot be read in {error.filename or outer}: {error.strerror}"
        return None, [Finding(code="mount-missing", title=title, given=source.uri)]
    if not folders:
        title = f"{origin} was brought to the machine empty: nothing lies in {outer}"
        return None, [Finding(code="mount-empty", title=title, given=source.uri, fault="data")]
    said: list[str] = []
    for folder in folders:
        if not (wrong := list(_wrong(document, source, folder, at))):
            return folder, []
        said = said or wrong
    return None, [of_sentence("source-unreachable", one, source.uri) for one in said]


def used(document: JobDocument, source: Source, folder: Path, at: Place) -> Path:
    """What of the folder is used: its half may want a part of it. Its pin was compared before. Raises OSError."""
    half = _half(document, source)
    return half.fetch(replace(source, uri=str(folder), pin=""), at) if half else folder


def _begins(document: JobDocument, source: Source) -> Sequence[str]:
    """Paths that show that the data begins where one of them is."""
    described = getattr(halves.workload(document), "DESCRIBED", {})
    return (*described.get(source.role, ()), MANIFEST)


def _folders(outer: Path, begins: Iterable[str]) -> list[Path]:
    """Where the data may lie, the likeliest first: an upload keeps the name of the folder that was uploaded.

    Empty when there is nothing. Raises OSError.
    """
    found: list[Path] = []
    folder: Path | None = outer
    while folder is not None:
        seen = _seen(folder)
        if not seen:
            break
        found.insert(0, folder)
        begun = any((folder / path).exists() for path in begins)
        folder = Path(seen[0].path) if len(seen) == 1 and seen[0].is_dir() and not begun else None
    return found if folder is None else []


def _seen(folder: Path) -> list["os.DirEntry[str]"]:
    """What lies in a folder, hidden things apart; nothing in one that is not there. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []


def _wrong(document: JobDocument, source: Source, folder: Path, at: Place) -> Iterator[str]:
    """What the half of its kind says, where there is one that looks itself."""
    if half := _half(document, source):
        ask: Callable[[Source, Place], Iterable[str]] = getattr(half, "mounted", half.preflight)
        yield from ask(replace(source, uri=str(folder)), at)


def _half(document: JobDocument, source: Source) -> SourceHalf | None:
    """The half that reads it where it lies; None for a kind that has none, or that a carrier brings."""
    half = halves.source(document, source) if halves.has(document, source) else None
    return None if half is None or halves.carrier(half) else half
