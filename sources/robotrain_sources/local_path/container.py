"""A local folder in the container: it is used where it lies."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from robotrain_runtime.document import Source
from robotrain_runtime.half import Place

from robotrain_sources.local_path import look, policy


def preflight(source: Source, place: Place) -> Iterator[str]:
    """What is wrong with the folder, in one sentence, and what to type on a second line where that is known."""
    folder = Path(source.uri)
    if not folder.exists():
        yield f"The folder {folder} does not exist on this machine."
    elif not folder.is_dir():
        yield f"{folder} is not a folder: name the folder that the {_what(source)} lies in."
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield f"The folder {folder} cannot be read by the user that runs the job."
    elif (part := policy.used(folder, source.role)) is None:
        yield policy.wrong(folder)
    elif source.pin:
        yield from _readable(lambda: look.unlike(part, source.pin))


def mounted(source: Source, place: Place) -> Iterator[str]:
    """What is wrong with a copy that the platform brought: it is to be what was pinned where it was uploaded."""
    folder = Path(source.uri)
    if (part := policy.used(folder, source.role)) is None:
        yield policy.wrong(folder).partition("\n")[0]
    elif source.pin:
        yield from _readable(lambda: _changed(look.differs(part, source.pin)))


def fetch(source: Source, place: Place) -> Path:
    """The folder itself; of a policy the part that is the model. Raises OSError when it cannot be used."""
    for wrong in preflight(source, place):
        raise OSError(wrong.rstrip(".").replace(".\n", ": use "))
    part = policy.used(Path(source.uri), source.role) or Path(source.uri)
    if wrong := policy.torn(part, source.role):
        raise OSError(wrong)
    return part


def _changed(how: str) -> str:
    return f"What was uploaded is not what was pinned: {how}." if how else ""


def _readable(ask: Callable[[], str]) -> Iterator[str]:
    """What is asked, when it is anything; what cannot be read is told by its name."""
    try:
        if wrong := ask():
            yield wrong
    except OSError as error:
        yield f"{error.filename} cannot be read: {error.strerror}."


def _what(source: Source) -> str:
    return "policy" if source.role in policy.POLICIES else source.role
