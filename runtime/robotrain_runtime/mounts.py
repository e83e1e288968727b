"""Which sources the platform itself brings, and where a document says that they lie."""

import os
import re
from pathlib import Path

from robotrain_runtime.document import JobDocument, Mount, Source

_NAME = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"


class Unnamed(LookupError):
    """A folder begins with a name that the environment does not have. The text is the name."""


def of(document: JobDocument, source: Source) -> Mount | None:
    """What brings a source; None for one that is to be fetched."""
    named = (mount for mount in document.placement.mounts if (mount.role, mount.uri) == (source.role, source.uri))
    return next(named, None)


def fetched(document: JobDocument) -> tuple[Source, ...]:
    """The sources of a document that nothing brings: those the runtime fetches itself."""
    return tuple(source for source in document.sources if of(document, source) is None)


def place(said: str) -> Path:
    """The folder that a document names, perhaps by a name of the environment. Raises Unnamed."""
    named = re.fullmatch(rf"{_NAME}((?:/.*)?)", said, re.DOTALL)
    return Path(_value(named[1]) + named[2]) if named else Path(said)


def told(said: str) -> str:
    """A text with what the names of the environment in it hold. Raises Unnamed."""
    return re.sub(_NAME, lambda named: _value(named[1]), said)


def _value(name: str) -> str:
    """What a name holds: a platform may spell it in upper case, whatever case it was declared in."""
    if found := os.environ.get(name) or os.environ.get(name.upper()):
        return found
    raise Unnamed(name)
