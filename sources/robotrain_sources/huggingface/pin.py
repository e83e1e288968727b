"""What a repository's name means now: the Hub is asked for the commit behind a revision. Nothing is downloaded."""

import os
import re
from collections.abc import Sequence

from robotrain.source import Source

from robotrain_sources import patience
from robotrain_sources.huggingface import unpinned
from robotrain_sources.huggingface.repository import Repository, parse

SECONDS = 5.0
ALTOGETHER = 10.0


def now(source: Source, role: str) -> str:
    """The commit that the revision of a repository is at this moment; a commit is its own. Raises SourceError."""
    repository = parse(str(source))
    if re.fullmatch(unpinned.COMMIT, repository.revision):
        return repository.revision
    return patience.within(ALTOGETHER, lambda: _commit(repository, role), "The Hub")


def gone(source: Source, role: str, pin: str) -> str:
    """Why the commit `pin` cannot be had any more, as a sentence; empty while it can. Raises SourceError."""
    repository = Repository(parse(str(source)).id, pin)
    try:
        patience.within(ALTOGETHER, lambda: _commit(repository, role), "The Hub")
    except unpinned.OutOfReach as missing:
        return missing.why
    return ""


def lacks(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Those of some paths that the repository does not hold; of a commit nobody is asked. Raises what the library
    raises, and SourceError.
    """
    repository = parse(str(source))
    if re.fullmatch(unpinned.COMMIT, repository.revision):
        return []
    return patience.within(ALTOGETHER, lambda: "\n".join(_lacking(repository, role, paths)), "The Hub").splitlines()


def _lacking(repository: Repository, role: str, paths: Sequence[str]) -> list[str]:
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="robotrain")
    kind, revision = _kind(role), repository.revision or None
    return [path for path in paths if not hub.file_exists(repository.id, path, repo_type=kind, revision=revision)]


def _kind(role: str) -> str:
    return "dataset" if role == "dataset" else "model"


def _commit(repository: Repository, role: str) -> str:
    """Asks the Hub. Raises SourceError."""
    from huggingface_hub import HfApi  # 0.3 s

    kind = _kind(role)
    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="robotrain")
    try:
        info = hub.repo_info(repository.id, repo_type=kind, revision=repository.revision or None, timeout=SECONDS)
        if getattr(info, "gated", False):  # what such a repository holds is shown to all, and given to some
            hub.auth_check(repository.id, repo_type=kind)
    except Exception as error:
        raise unpinned.of(error, repository, kind, hub) from None
    if not re.fullmatch(unpinned.COMMIT, str(info.sha)):
        raise unpinned.no_hub(hub)
    return str(info.sha)
