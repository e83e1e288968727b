"""What a repository's name means now: the Hub is asked for the commit behind a revision. Nothing is downloaded."""

import os
import queue
import re
import threading
from collections.abc import Callable
from typing import Any

from robotrain.source import Source, SourceError

from robotrain_sources.huggingface import unpinned
from robotrain_sources.huggingface.repository import Repository, parse

SECONDS = 5.0
ALTOGETHER = 10.0


def now(source: Source, role: str) -> str:
    """The commit that the revision of a repository is at this moment; a commit is its own. Raises SourceError."""
    repository = parse(str(source))
    if re.fullmatch(unpinned.COMMIT, repository.revision):
        return repository.revision
    return _within(ALTOGETHER, lambda: _commit(repository, role))


def gone(source: Source, role: str, pin: str) -> str:
    """Why the commit `pin` cannot be had any more, as a sentence; empty while it can. Raises SourceError."""
    repository = Repository(parse(str(source)).id, pin)
    try:
        _within(ALTOGETHER, lambda: _commit(repository, role))
    except unpinned.OutOfReach as missing:
        return missing.why
    return ""


def _commit(repository: Repository, role: str) -> str:
    """Asks the Hub. Raises SourceError."""
    from huggingface_hub import HfApi  # 0.3 s

    kind = "dataset" if role == "dataset" else "model"
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


def _within(seconds: float, ask: Callable[[], str]) -> str:
    """What `ask` answers. Raises what it raises, and SourceError when that takes longer.

    The time limits of a request start again with every byte; this one does not.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(ask())
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise SourceError(f"The Hub gave no answer within {seconds:g} seconds.") from None
    if isinstance(answer, BaseException):
        raise answer
    return str(answer)
