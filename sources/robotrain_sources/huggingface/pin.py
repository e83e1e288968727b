"""The Hub on the submit side: the commit of a revision, and checks for `robotrain doctor`.

Messages contain the text of an error only without passwords and tokens.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from robotrain.errors import Suggestion
from robotrain.model.health import Check, HealthResult, report_ok, report_warning
from robotrain.model.source import Source, SourceError, SourceNotFound, SourceUnreachable

from robotrain_sources import parallel, remote_files
from robotrain_sources.fetching.errors import FetchError, explain, retry_once
from robotrain_sources.huggingface import fetch
from robotrain_sources.huggingface.errors import (
    HubFailure,
    HubRequest,
    explain_hub_error,
    explain_other_server,
    find_endpoint_problem,
    find_token_problem,
)
from robotrain_sources.huggingface.reference import COMMIT_PATTERN, DATASET_ROLES, Repository, parse_repository

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LOG_IN_HINT = "log in with `hf auth login`, or set HF_TOKEN"


class RepositoryInaccessible(SourceError):
    """The Hub denies this caller the repository at that revision."""


class RepositoryNotFound(RepositoryInaccessible, SourceNotFound):
    """The repository or revision does not exist, with any token."""


ERROR_CLASSES = {
    **dict.fromkeys(("gated", "missing", "denied"), RepositoryInaccessible),
}
"""The exceptions of failures for which a pin is not available, by the reason of the failure."""


def make_source_error(failure: HubFailure, repository: Repository, kind: str) -> SourceError:
    """Return a failure of the Hub as a SourceError; `kind` is `dataset` or `model`."""
    if failure.reason == "no-revision":
        return _explain_missing_revision(repository, kind)
    if failure.reason == "offline":
        reason = f"HF_HUB_OFFLINE is set, so the commit of {repository} cannot be resolved: unset it, or name a commit."
        return SourceError(reason, f"{repository.id}@COMMIT")
    return ERROR_CLASSES.get(failure.reason, SourceError)(_format_sentence(failure.why))


def _format_sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _explain_missing_revision(repository: Repository, kind: str) -> SourceError:
    if re.fullmatch(COMMIT_PATTERN, repository.revision):
        reason = f"The {kind} {repository.id} no longer has the commit {repository.revision}"
        return RepositoryNotFound(f"{reason}: its history was rewritten.")
    return RepositoryNotFound(f"The {kind} {repository.id} has no revision {repository.revision}.")


def _read_token() -> str:
    """Return the token of this machine; empty for none, or if it cannot be read."""
    from huggingface_hub import get_token

    try:
        return get_token() or ""
    except Exception:
        return ""


REQUEST_SECONDS = 5.0
DEADLINE_SECONDS = 10.0
READ_SECONDS = 5.0
"""How long to wait for the files that describe a repository."""

Answer = TypeVar("Answer")


def resolve_pin(source: Source, role: str) -> str:
    """Return the current commit of a repository's revision, a commit as it is. Raise SourceError."""
    repository = parse_repository(str(source))
    if re.fullmatch(COMMIT_PATTERN, repository.revision):
        return repository.revision
    return _run_with_deadline(lambda: _query_commit(repository, role))


def explain_lost_pin(source: Source, role: str, pin: str) -> str:
    """Return why the commit `pin` is not available; empty if it is.

    Raise SourceUnreachable if the Hub does not say: a commit never changes, and the run looks for it again.
    """
    repository = Repository(parse_repository(str(source)).id, pin)
    try:
        _run_with_deadline(lambda: _query_commit(repository, role))
    except RepositoryInaccessible as missing:
        return missing.why
    except SourceError as error:
        raise SourceUnreachable(error.why, error.suggestion) from error
    return ""


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Return the paths that are not in the repository; none for a commit, without a request.

    Raise what the library raises, and SourceError.
    """
    repository = parse_repository(str(source))
    if re.fullmatch(COMMIT_PATTERN, repository.revision):
        return []

    origin = partial(fetch.open, str(source), "", role, "")
    return remote_files.find_missing(origin, role, paths, READ_SECONDS, "The Hub")


def read_files(source: Source, role: str, pin: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Return the content of those of `paths` that the commit `pin` has.

    Raise what the library raises, and SourceError.
    """
    origin = partial(fetch.open, str(source), pin, role, "")
    return remote_files.read_files(origin, role, paths, READ_SECONDS, "The Hub")


def list_files(source: Source, role: str, pin: str) -> Mapping[str, int]:
    """Return the size of each file of the commit `pin`. Raise SourceError."""
    return remote_files.list_sizes(partial(fetch.open, str(source), pin, role, ""), "The Hub")


def download(source: Source, role: str, pin: str, paths: Sequence[str], folder: Path, seconds: float) -> None:
    """Write files of the commit `pin` below a folder. Raise SourceError."""
    remote_files.download(partial(fetch.open, str(source), pin, role, ""), paths, folder, seconds, "The Hub")


def _run_with_deadline(question: Callable[[], Answer]) -> Answer:
    return parallel.run_with_deadline(DEADLINE_SECONDS, question, "The Hub")


def _get_repository_kind(role: str) -> str:
    return "dataset" if role in DATASET_ROLES else "model"


def _make_hub_client() -> "HfApi":
    """Return the library's client. Raise SourceError."""
    if problem := find_endpoint_problem() or find_token_problem(_read_token()):
        raise SourceError(_format_sentence(problem))
    hub = fetch.import_hub_library()  # 0.3 s
    client: HfApi = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="robotrain")
    return client


def _query_commit(repository: Repository, role: str) -> str:
    hub, kind = _make_hub_client(), _get_repository_kind(role)

    request = HubRequest(
        repository=repository.id,
        kind=kind,
        revision=repository.revision,
        token="your token" if _read_token() else "",
        remedy=LOG_IN_HINT,
        is_pin=True,
    )

    def query_info() -> Any:
        try:
            repository_info = hub.repo_info(
                repository.id, repo_type=kind, revision=repository.revision or None, timeout=REQUEST_SECONDS
            )
            if getattr(repository_info, "gated", False):  # everybody may list a gated repository, not download it
                hub.auth_check(repository.id, repo_type=kind)
            return repository_info
        except Exception as error:
            failure = explain_hub_error(error, request, is_answer=True)
            if failure.fault == "network":
                raise FetchError(failure.why, failure.fault) from None
            raise make_source_error(failure, repository, kind) from None

    try:
        repository_info = retry_once(query_info)
    except FetchError as error:
        raise SourceError(_format_sentence(str(error))) from None
    if not re.fullmatch(COMMIT_PATTERN, str(repository_info.sha)):
        raise SourceError(_format_sentence(explain_other_server().why))
    return str(repository_info.sha)


def list_health_checks() -> Iterable[Check]:
    """Return the Hub's health checks; only jobs with a Hub repository need them."""
    return (
        Check(name="Hugging Face", run=check_token),
        Check(name="Hub", run=check_hub, online=True),
    )


def check_token() -> Iterator[HealthResult]:
    """Report whether there is a token, without asking the Hub."""
    if problem := find_endpoint_problem():
        yield report_warning(problem, Suggestion("unset HF_ENDPOINT", "or correct it"))
        return
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield report_warning(
            "HF_HUB_OFFLINE is set: branches and tags cannot be resolved to commits",
            Suggestion("unset HF_HUB_OFFLINE"),
        )
    token = get_token()
    if problem := find_token_problem(token or ""):
        yield report_warning(problem, Suggestion("hf auth login", "or set HF_TOKEN"))
    elif not token:
        yield report_ok("no token: public repositories only; use `hf auth login` or HF_TOKEN for private ones")
    elif os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
        yield report_ok("a token is set (HF_TOKEN)")
    else:
        yield report_ok(f"a token is set ({constants.HF_TOKEN_PATH})")


def check_hub() -> Iterator[HealthResult]:
    """Report whether the Hub answers, and accepts the token if there is one."""
    if find_endpoint_problem():  # which `check_token` reports, as the following two
        return
    from huggingface_hub import constants, get_session, get_token

    token = get_token()
    if constants.HF_HUB_OFFLINE or find_token_problem(token or ""):
        return
    hub = _make_hub_client()
    host = urlsplit(hub.endpoint).hostname or "the Hub"
    try:
        if token:
            yield report_ok(f"{host}: signed in as {hub.whoami()['name']}")
        else:
            get_session().get(f"{hub.endpoint}/api/models?limit=1", timeout=REQUEST_SECONDS)  # any answer will do
            yield report_ok(f"{host} answers")
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if token and status == 401:
            yield report_warning(
                f"{host} does not accept the token: it is wrong or has expired",
                Suggestion("hf auth login", "or set HF_TOKEN"),
            )
        elif status:
            not_checked = ": the token was not checked" if token else ""
            yield report_warning(f"{host} answered HTTP {status}{not_checked}")
        else:
            copy = Suggestion("--dataset-path FOLDER", "a copy of a dataset, for a machine without the Hub")
            yield report_warning(explain(error, host).sentence, copy)
