"""Why the Hub did not say what a repository is: a sentence for each reason, with what to do about it.

Of an error only its kind is told: its text could repeat an address with a password.
"""

import contextlib
import re
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from robotrain.nearest import nearest
from robotrain.source import Absent, SourceError

from robotrain_sources.huggingface.repository import Repository

if TYPE_CHECKING:
    from huggingface_hub import HfApi

COMMIT = r"[0-9a-f]{40}"
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
WRONG_TOKEN = "Invalid credentials"
SECONDS = 3.0
SHOWN = 8


class OutOfReach(SourceError):
    """The Hub answered, and whoever asked cannot have the repository at that revision."""


class Nowhere(OutOfReach, Absent):
    """Nobody can have it, with whatever token."""


def of(error: Exception, repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    """What to say of an error. kind: `dataset` or `model`."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return _gated(repository, kind, hub)
    if isinstance(error, errors.RepositoryNotFoundError):
        return _not_shown(repository, kind, hub)
    if isinstance(error, errors.RevisionNotFoundError):
        return _no_revision(repository, kind, hub)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return SourceError(
            f"HF_HUB_OFFLINE is set, so the Hub is not asked which commit {repository} is: unset it, or name a commit.",
            f"{repository.id}@COMMIT",
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _status(error, repository, kind, hub)
    if isinstance(error, ValueError | LookupError | TypeError | AttributeError):  # what the library makes of it
        return no_hub(hub)
    if any("Timeout" in type(one).__name__ for one in _chain(error)):
        return SourceError(f"The Hub at {_host(hub)} gave no answer in time.")
    return SourceError(f"The Hub at {_host(hub)} cannot be reached: {_cause(error)}.")


def no_hub(hub: "HfApi") -> SourceError:
    """Something answered, in words that are not the Hub's."""
    return SourceError(f"What answers at {_host(hub)} does not speak as the Hub does: check HF_ENDPOINT.")


def _status(error: Exception, repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    """An answer that only its number and its message tell apart."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    message = response.headers.get("X-Error-Message", "") if response is not None else ""
    if status == 401 and WRONG_TOKEN in message:
        return SourceError(f"The Hub does not take your token, which is wrong or has expired: {LOG_IN}.")
    if status in (401, 404):  # the Hub does not tell the two apart for who is not logged in
        return _not_shown(repository, kind, hub)
    if status == 403 and "disabled" in message:
        return Nowhere(f"The Hub has closed the {kind} {repository.id} to everybody.")
    if status == 403:
        return OutOfReach(
            f"Your token may not read the {kind} {repository.id}: give it that right at {_site(hub)}/settings/tokens."
        )
    if status == 429:
        return SourceError("The Hub says that it was asked too often: wait a few minutes.")
    return SourceError(f"The Hub at {_host(hub)} has a problem of its own (HTTP {status}): try again later.")


def _gated(repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    page = f"{_site(hub)}/{'datasets/' if kind == 'dataset' else ''}{repository.id}"
    if _logged_in():
        return OutOfReach(
            f"The {kind} {repository.id} is gated and your account was not let in: ask for that at {page}."
        )
    return OutOfReach(f"The {kind} {repository.id} is gated: ask to be let in at {page}, then {LOG_IN}.")


def _not_shown(repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    other = "model" if kind == "dataset" else "dataset"
    if _is_there(repository, other, hub):
        return Nowhere(f"On the Hub {repository.id} is a {other}, not a {kind}.")
    if _logged_in():
        return OutOfReach(
            f"The Hub shows your account no {kind} {repository.id}: it is misspelt, gone, or private to others."
        )
    unknown = f"The Hub shows no {kind} {repository.id} to who is not logged in"
    return OutOfReach(f"{unknown}: check the spelling; if it is private, {LOG_IN}.")


def _no_revision(repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    if re.fullmatch(COMMIT, repository.revision):
        held = f"The {kind} {repository.id} does not hold the commit {repository.revision}"
        return Nowhere(f"{held} any more: its history was written anew.")
    names = list(_revisions(repository, kind, hub))
    near = nearest(repository.revision, names) or ""
    known = f": it has {', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''}" if names else ""
    why = f"The {kind} {repository.id} has no revision {repository.revision}{known}."
    return Nowhere(why, near and f"{repository.id}@{near}")


def _is_there(repository: Repository, kind: str, hub: "HfApi") -> bool:
    try:
        hub.repo_info(repository.id, repo_type=kind, timeout=SECONDS)
    except Exception:
        return False
    return True


def _revisions(repository: Repository, kind: str, hub: "HfApi") -> Iterator[str]:
    with contextlib.suppress(Exception):
        refs = hub.list_repo_refs(repository.id, repo_type=kind)
        yield from (ref.name for ref in (*refs.branches, *refs.tags))


def _logged_in() -> bool:
    from huggingface_hub import get_token

    try:
        return bool(get_token())
    except Exception:
        return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _cause(error: Exception) -> str:
    """The operating system's own word where there is one."""
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({one.verify_message})"
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    return type(error).__name__


def _site(hub: "HfApi") -> str:
    return f"{urlsplit(hub.endpoint).scheme}://{_host(hub)}"


def _host(hub: "HfApi") -> str:
    """Where the Hub is, without what else an address may hold."""
    return urlsplit(hub.endpoint).netloc.rpartition("@")[2]
