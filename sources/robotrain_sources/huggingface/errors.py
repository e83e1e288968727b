"""Errors of the Hub while a run fetches: sentences with a remedy, never with a token."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError, blame_error, blame_no_answer, format_error, get_class_names

HUB = "https://huggingface.co"
PRIVATE_HINT = "it is private and HF_TOKEN is not set"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRequest:
    """A request to the Hub."""

    repository: str
    kind: str
    """`model` or `dataset`."""
    revision: str
    token: str
    """The token in words; empty for none."""
    remedy: str = ""
    """The platform's way to give the job a token."""

    @property
    def other_token_hint(self) -> str:
        """End of a sentence about a token without access."""
        return f"; to give the job another: {self.remedy}" if self.remedy else ""


def explain_fetch_error(error: Exception, request: HubRequest) -> FetchError:
    """Return an error of the library or obstore as a FetchError."""
    if isinstance(error, FetchError):
        return error
    causes = list(iter_causes(error))
    class_names = get_class_names(*causes)
    hub = f"the Hub at {urlsplit(_hub_endpoint()).hostname}"
    if why := _explain_library_error(class_names, request, hub):
        return FetchError(why, "configuration")
    if status := next((code for cause in causes if (code := errors.parse_http_status(cause))), 0):
        return _explain_status(status, request, hub)
    transport_error = errors.describe_transport_error(error)
    if "TransportError" in class_names or transport_error:
        cause = transport_error or format_error(causes[-1])
        why = f"the connection to {hub} failed for {request.repository} ({cause})"
        return FetchError(f"{why}: check that this machine can reach it", blame_no_answer(*causes))
    if isinstance(error, TimeoutError):
        return FetchError(f"{hub} did not answer in time for {request.repository}: try again later", "network")
    if "JSONDecodeError" in class_names:
        return FetchError(f"the server at {hub} is not a Hugging Face Hub: check HF_ENDPOINT", "configuration")
    fault = "network" if errors.is_transient(error) else blame_error(error)
    return FetchError(f"{request.repository}: {format_error(error)}", fault)


def _explain_library_error(class_names: set[str], request: HubRequest, hub: str) -> str:
    """Return the sentence for an exception class of the library; empty for others."""
    name = request.repository
    if "GatedRepoError" in class_names:
        token_hint = request.remedy or "set HF_TOKEN to a token of your account"
        remedy = f"with the account of your token{request.other_token_hint}" if request.token else f"and {token_hint}"
        return f"{name} is gated: accept its conditions at {_repository_page(request)} {remedy}"
    if "RepositoryNotFoundError" in class_names:
        no_token = f"it is private and the job has no token: {request.remedy}" if request.remedy else PRIVATE_HINT
        why = f"{request.token} has no access to it{request.other_token_hint}" if request.token else no_token
        return f"{hub} has no {request.kind} {name}: it does not exist, or {why}"
    if "RevisionNotFoundError" in class_names:
        return f"{name} has no revision {request.revision or 'main'} on {hub}"
    if "OfflineModeIsEnabled" in class_names:
        return f"{name} is not in the cache, and HF_HUB_OFFLINE is set: unset it, or use a local folder"
    return ""


def _explain_status(status: int, request: HubRequest, hub: str) -> FetchError:
    name = request.repository
    if status in (401, 403):
        if request.token:
            why = f"{hub} does not accept {request.token} for {name} (HTTP {status}){request.other_token_hint}"
        else:
            why = f"{hub} requires a token for {name} (HTTP {status}): {request.remedy or 'set HF_TOKEN'}"
        return FetchError(why, "configuration")
    if status in (404, 416):
        return FetchError(
            f"a file of {name} was changed or deleted on {hub} (HTTP {status}): start the run again", "data"
        )
    if status in errors.TRANSIENT_STATUS or status >= 500:
        return FetchError(f"{hub} answered HTTP {status} for {name}: try again later", "network")
    return FetchError(f"{hub} answered HTTP {status} for {name}", "configuration")


def iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _repository_page(request: HubRequest) -> str:
    return f"{_hub_endpoint()}/{'datasets/' if request.kind == 'dataset' else ''}{request.repository}"


def _hub_endpoint() -> str:
    """Return the Hub's address without user name and password."""
    address = urlsplit(os.environ.get("HF_ENDPOINT") or HUB)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
