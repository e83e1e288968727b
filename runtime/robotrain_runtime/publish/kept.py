"""The folder that the platform keeps when a run ends: where it lies, how it is called, what stands in the way."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from robotrain_runtime import halves, mounts
from robotrain_runtime.document import JobDocument
from robotrain_runtime.finding import Finding


def folder(document: JobDocument) -> Path | None:
    """Where it lies on this machine; None for a platform that keeps none. Raises Unnamed."""
    said = document.placement.kept
    return Path(os.path.normpath(mounts.place(said))) if said else None


def called(document: JobDocument) -> str:
    """What it is called for people, without a slash at its end; empty when that is not known."""
    with suppress(mounts.Unnamed):
        return mounts.told(document.placement.kept_as).rstrip("/")
    return ""


def findings(document: JobDocument) -> Iterator[Finding]:
    """Why nothing could be copied there."""
    try:
        to = folder(document)
    except mounts.Unnamed as name:
        title = f"{name} is not set, so nobody knows in which folder the platform keeps the {halves.left(document)}"
        yield Finding(code="kept-missing", title=title)
        return
    if to and (why := _unwritable(to)):
        title = f"{halves.left(document)} cannot be copied to {to}, which the platform keeps: {why}"
        yield Finding(code="publish-unwritable", title=title)


def _unwritable(to: Path) -> str:
    if not to.is_absolute():
        return "it is no absolute path"
    if to.exists() and not to.is_dir():
        return "it is a file"
    if not to.parent.is_dir():
        return f"there is no {to.parent}"
    writable = os.access(to if to.is_dir() else to.parent, os.W_OK | os.X_OK)
    return "" if writable else "the user that runs the job may not write there"
