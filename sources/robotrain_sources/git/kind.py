"""The source kind `git`: the code of a job from a repository, at one commit."""

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import holds_secret

from robotrain_sources.local_path.kind import parse_folder
from robotrain_sources.role_flags import CODE

_HINT = r"(?i)\s*(?:git\+|(?:ssh|git)://|git@)"


def recognizes(text: str) -> bool:
    """Return whether the text is an address that git alone has, also one that a job cannot use."""
    return bool(re.match(_HINT, text))


def parse_source(text: str, base: Path) -> Source:
    """Return the repository that `text` addresses, or a folder if it is no address. Raise SourceError."""
    from robotrain_sources.git import reference  # costs start-up, as the next

    if not recognizes(text) and "://" not in text:
        return parse_folder(text, base)
    repository = reference.parse_repository(text)
    if holds_secret(unquote(str(repository))):
        raise SourceError("The address seems to contain a secret, and a job must not contain secrets.")
    return repository


def fetch_here(source: Source) -> Path:
    """Return the folder of the files of a repository. Raise SourceError."""
    from robotrain_sources.git import clone  # costs start-up

    return clone.fetch_commit(source)


KIND = SourceKind(
    name="git",
    title="repositories of git",
    form="git+https://HOST/OWNER/REPO@COMMIT",
    example="git+https://example.org/lab/policy@3f2c1d0e9b8a7f6e5d4c3b2a1908f7e6d5c4b3a2",
    help="A repository of git at a commit, a branch or a tag, perhaps with #subdirectory=PATH: fetched here, and sent.",
    roles={"code": CODE},
    recognizes=recognizes,
    parse=parse_source,
    fetch_here=fetch_here,
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
