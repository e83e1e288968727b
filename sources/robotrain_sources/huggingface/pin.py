"""Pins of Hub repositories: the commit behind a revision, asked of the Hub, or why there is none.

Of an error only its kind is told: its text could repeat an address with a password.
"""

import contextlib
import os
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from robotrain.errors import Suggestion, find_nearest_name
from robotrain.model.health import HealthCheck, HealthResult, report_ok, report_warning
from robotrain.model.source import Source, SourceError, SourceNotFound

from robotrain_sources import parallel
from robotrain_sources.huggingface.reference import Repository, parse_repository

if TYPE_CHECKING:
    from huggingface_hub import HfApi

COMMIT_PATTERN = r"[0-9a-f]{40}"
LOG_IN_HINT = "log in with `hf auth login`, or set HF_TOKEN"
WRONG_TOKEN_MESSAGE = "Invalid credentials"
HINT_SECONDS = 3.0
MAX_REVISIONS_SHOWN = 8


class RepositoryInaccessible(SourceError):
    """The Hub answered, and whoever asked cannot have the repository at that revision."""


class RepositoryNotFound(RepositoryInaccessible, SourceNotFound):
    """Nobody can have it, with whatever token."""


def explain_hub_error(error: Exception, repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    """What to say of an error. kind: `dataset` or `model`."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return _explain_gated(repository, kind, hub)
    if isinstance(error, errors.RepositoryNotFoundError):
        return _explain_not_found(repository, kind, hub)
    if isinstance(error, errors.RevisionNotFoundError):
        return _explain_missing_revision(repository, kind, hub)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return SourceError(
            f"HF_HUB_OFFLINE is set, so the Hub is not asked which commit {repository} is: unset it, or name a commit.",
            f"{repository.id}@COMMIT",
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_status(error, repository, kind, hub)
    if isinstance(error, ValueError | LookupError | TypeError | AttributeError):  # what the library makes of it
        return make_not_a_hub_error(hub)
    if any("Timeout" in type(one).__name__ for one in _iter_causes(error)):
        return SourceError(f"The Hub at {_format_host(hub)} gave no answer in time.")
    return SourceError(f"The Hub at {_format_host(hub)} cannot be reached: {_describe_cause(error)}.")


def make_not_a_hub_error(hub: "HfApi") -> SourceError:
    """Something answered, in words that are not the Hub's."""
    return SourceError(f"What answers at {_format_host(hub)} does not speak as the Hub does: check HF_ENDPOINT.")


def _explain_status(error: Exception, repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    """An answer that only its number and its message tell apart."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    message = response.headers.get("X-Error-Message", "") if response is not None else ""
    if status == 401 and WRONG_TOKEN_MESSAGE in message:
        return SourceError(f"The Hub does not take your token, which is wrong or has expired: {LOG_IN_HINT}.")
    if status in (401, 404):  # the Hub does not tell the two apart for who is not logged in
        return _explain_not_found(repository, kind, hub)
    if status == 403 and "disabled" in message:
        return RepositoryNotFound(f"The Hub has closed the {kind} {repository.id} to everybody.")
    if status == 403:
        return RepositoryInaccessible(
            f"Your token may not read the {kind} {repository.id}: give it that right at {_format_site(hub)}/settings/tokens."
        )
    if status == 429:
        return SourceError("The Hub says that it was asked too often: wait a few minutes.")
    return SourceError(f"The Hub at {_format_host(hub)} has a problem of its own (HTTP {status}): try again later.")


def _explain_gated(repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    page = f"{_format_site(hub)}/{'datasets/' if kind == 'dataset' else ''}{repository.id}"
    if _is_logged_in():
        return RepositoryInaccessible(
            f"The {kind} {repository.id} is gated and your account was not let in: ask for that at {page}."
        )
    return RepositoryInaccessible(
        f"The {kind} {repository.id} is gated: ask to be let in at {page}, then {LOG_IN_HINT}."
    )


def _explain_not_found(repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    other = "model" if kind == "dataset" else "dataset"
    if _repository_exists(repository, other, hub):
        return RepositoryNotFound(f"On the Hub {repository.id} is a {other}, not a {kind}.")
    if _is_logged_in():
        return RepositoryInaccessible(
            f"The Hub shows your account no {kind} {repository.id}: it is misspelt, gone, or private to others."
        )
    unknown = f"The Hub shows no {kind} {repository.id} to who is not logged in"
    return RepositoryInaccessible(f"{unknown}: check the spelling; if it is private, {LOG_IN_HINT}.")


def _explain_missing_revision(repository: Repository, kind: str, hub: "HfApi") -> SourceError:
    if re.fullmatch(COMMIT_PATTERN, repository.revision):
        held = f"The {kind} {repository.id} does not hold the commit {repository.revision}"
        return RepositoryNotFound(f"{held} any more: its history was written anew.")
    names = list(_list_revisions(repository, kind, hub))
    near = find_nearest_name(repository.revision, names) or ""
    known = (
        f": it has {', '.join(names[:MAX_REVISIONS_SHOWN])}{', …' if len(names) > MAX_REVISIONS_SHOWN else ''}"
        if names
        else ""
    )
    why = f"The {kind} {repository.id} has no revision {repository.revision}{known}."
    return RepositoryNotFound(why, near and f"{repository.id}@{near}")


def _repository_exists(repository: Repository, kind: str, hub: "HfApi") -> bool:
    try:
        hub.repo_info(repository.id, repo_type=kind, timeout=HINT_SECONDS)
    except Exception:
        return False
    return True


def _list_revisions(repository: Repository, kind: str, hub: "HfApi") -> Iterator[str]:
    with contextlib.suppress(Exception):
        refs = hub.list_repo_refs(repository.id, repo_type=kind)
        yield from (ref.name for ref in (*refs.branches, *refs.tags))


def _is_logged_in() -> bool:
    from huggingface_hub import get_token

    try:
        return bool(get_token())
    except Exception:
        return False


def _iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _describe_cause(error: Exception) -> str:
    """The operating system's own word where there is one."""
    for one in _iter_causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({one.verify_message})"
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    return type(error).__name__


def _format_site(hub: "HfApi") -> str:
    return f"{urlsplit(hub.endpoint).scheme}://{_format_host(hub)}"


def _format_host(hub: "HfApi") -> str:
    """Where the Hub is, without what else an address may hold."""
    return urlsplit(hub.endpoint).netloc.rpartition("@")[2]


REQUEST_SECONDS = 5.0
DEADLINE_SECONDS = 10.0


def resolve_commit(source: Source, role: str) -> str:
    """The commit that the revision of a repository is at this moment; a commit is its own. Raises SourceError."""
    repository = parse_repository(str(source))
    if re.fullmatch(COMMIT_PATTERN, repository.revision):
        return repository.revision
    return parallel.run_with_deadline(DEADLINE_SECONDS, lambda: _ask_commit(repository, role), "The Hub")


def find_lost_commit(source: Source, role: str, pin: str) -> str:
    """Why the commit `pin` cannot be had any more, as a sentence; empty while it can. Raises SourceError."""
    repository = Repository(parse_repository(str(source)).id, pin)
    try:
        parallel.run_with_deadline(DEADLINE_SECONDS, lambda: _ask_commit(repository, role), "The Hub")
    except RepositoryInaccessible as missing:
        return missing.why
    return ""


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Those of some paths that the repository does not hold; of a commit nobody is asked. Raises what the library
    raises, and SourceError.
    """
    repository = parse_repository(str(source))
    if re.fullmatch(COMMIT_PATTERN, repository.revision):
        return []
    return parallel.run_with_deadline(
        DEADLINE_SECONDS, lambda: "\n".join(_ask_missing_paths(repository, role, paths)), "The Hub"
    ).splitlines()


def _ask_missing_paths(repository: Repository, role: str, paths: Sequence[str]) -> list[str]:
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="robotrain")
    kind, revision = _repository_kind(role), repository.revision or None
    return [path for path in paths if not hub.file_exists(repository.id, path, repo_type=kind, revision=revision)]


def _repository_kind(role: str) -> str:
    return "dataset" if role == "dataset" else "model"


def _ask_commit(repository: Repository, role: str) -> str:
    """Asks the Hub. Raises SourceError."""
    from huggingface_hub import HfApi  # 0.3 s

    kind = _repository_kind(role)
    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="robotrain")
    try:
        info = hub.repo_info(
            repository.id, repo_type=kind, revision=repository.revision or None, timeout=REQUEST_SECONDS
        )
        if getattr(info, "gated", False):  # what such a repository holds is shown to all, and given to some
            hub.auth_check(repository.id, repo_type=kind)
    except Exception as error:
        raise explain_hub_error(error, repository, kind, hub) from None
    if not re.fullmatch(COMMIT_PATTERN, str(info.sha)):
        raise make_not_a_hub_error(hub)
    return str(info.sha)


def list_health_checks() -> Iterable[HealthCheck]:
    """What a submit needs of the Hub; a job without one of its repositories needs nothing of it."""
    return (
        HealthCheck(name="Hugging Face", run=check_token),
        HealthCheck(name="Hub sign-in", run=check_sign_in, online=True),
    )


def check_token() -> Iterator[HealthResult]:
    """The token, by where it lies; nobody is asked about it."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield report_warning(
            "HF_HUB_OFFLINE is set: what a repository means now cannot be asked", Suggestion("unset HF_HUB_OFFLINE")
        )
    if not get_token():
        yield report_ok("no token: public repositories only; `hf auth login` or HF_TOKEN opens your own")
    elif os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
        yield report_ok("a token is set (HF_TOKEN)")
    else:
        yield report_ok(f"a token is there ({constants.HF_TOKEN_PATH})")


def check_sign_in() -> Iterator[HealthResult]:
    """What the Hub says of the token. Of an error only its kind is told: its text could repeat the token."""
    from huggingface_hub import HfApi, get_token

    if not get_token():
        return
    hub = HfApi(library_name="robotrain")
    where = urlsplit(hub.endpoint).hostname or "the Hub"
    try:
        known = hub.whoami()
        yield report_ok(f"{where} knows you as {known['name']}")
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == 401:
            yield report_warning(
                f"{where} does not take the token: it is wrong or has expired",
                Suggestion("hf auth login", "or set HF_TOKEN"),
            )
        elif status:
            yield report_warning(f"{where} answered with {status}, so the token was not looked at")
        else:
            yield report_warning(f"{where} cannot be asked: {type(error).__name__}")
