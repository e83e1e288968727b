"""Why the Hub did not give a repository's files to a run: a sentence with the way out, never with a token."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError, blame_error, blame_no_answer, format_error

HUB = "https://huggingface.co"
PRIVATE_HINT = "it is private and HF_TOKEN is not set"
_TRANSPORT_ERROR = r".*HTTP error: (.+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRequest:
    """What the Hub was asked for. kind: model or dataset. token: the one that was shown, in words; empty for none.

    way: what to type to give the job a token, where its platform has its own way.
    """

    repository: str
    kind: str
    revision: str
    token: str
    remedy: str = ""

    @property
    def other_token_hint(self) -> str:
        """The end of a sentence on a token that is not let in."""
        return f"; to give the job another: {self.remedy}" if self.remedy else ""


def explain_fetch_error(error: Exception, request: HubRequest) -> FetchError:
    """What the library or obstore raised, as a sentence with whose fault it is."""
    if isinstance(error, FetchError):
        return error
    raised = list(_iter_causes(error))
    names = {base.__name__ for one in raised for base in type(one).__mro__}
    hub = f"the Hub at {urlsplit(_hub_endpoint()).hostname}"
    if said := _explain_library_error(names, request, hub):
        return FetchError(said, "configuration")
    if status := next((code for one in raised if (code := _get_status(one))), 0):
        return _explain_status(status, request, hub)
    if "TransportError" in names or re.search(_TRANSPORT_ERROR, str(error)):
        why = f"the connection to {hub} failed for {request.repository} ({_describe_cause(raised)}): can this machine reach it?"
        return FetchError(why, blame_no_answer(*raised))
    if isinstance(error, TimeoutError):
        return FetchError(f"{hub} gave no answer in time, for {request.repository}: try again later", "network")
    if "JSONDecodeError" in names:
        return FetchError(f"what answers as {hub} does not speak as the Hub does: check HF_ENDPOINT", "configuration")
    fault = "network" if errors.is_transient(error) else blame_error(error)
    return FetchError(f"{request.repository}: {format_error(error)}", fault)


def _explain_library_error(class_names: set[str], request: HubRequest, hub: str) -> str:
    """What the library has an exception for; empty for the others."""
    name = request.repository
    if "GatedRepoError" in class_names:
        give = request.remedy or "set HF_TOKEN to a token of your account"
        way = f"with the account of your token{request.other_token_hint}" if request.token else f"and {give}"
        return f"{name} is gated: accept its conditions at {_repository_page(request)} {way}"
    if "RepositoryNotFoundError" in class_names:
        none = f"it is private and the job has no token: {request.remedy}" if request.remedy else PRIVATE_HINT
        why = f"{request.token} has no access to it{request.other_token_hint}" if request.token else none
        return f"{hub} shows no {request.kind} {name}: it does not exist, or {why}"
    if "RevisionNotFoundError" in class_names:
        return f"{name} has no revision {request.revision or 'main'} on {hub}"
    if "OfflineModeIsEnabled" in class_names:
        return f"{name} is not in the cache, and HF_HUB_OFFLINE forbids to ask for it: unset it, or name a local folder"
    return ""


def _explain_status(status: int, request: HubRequest, hub: str) -> FetchError:
    name = request.repository
    if status in (401, 403):
        wants = f"wants a token: {request.remedy or 'set HF_TOKEN'}"
        why, other = (f"does not accept {request.token}", request.other_token_hint) if request.token else (wants, "")
        return FetchError(f"{hub} {why}, for {name} (HTTP {status}){other}", "configuration")
    if status in (404, 416):
        return FetchError(
            f"{hub} has a file of {name} no more, or another (HTTP {status}): start the run again", "data"
        )
    if status in errors.TRANSIENT_STATUS or status >= 500:
        return FetchError(f"{hub} answered HTTP {status} for {name}: try again later", "network")
    return FetchError(f"{hub} answered HTTP {status} for {name}", "configuration")


def _iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _get_status(error: BaseException) -> int:
    told = getattr(getattr(error, "response", None), "status_code", 0)
    return int(told or 0) or errors.parse_http_status(error)


def _describe_cause(raised: list[BaseException]) -> str:
    """What stood in the way: the last word of the library, or obstore's."""
    said = re.search(_TRANSPORT_ERROR, str(raised[0]))
    return format_error(ValueError(said[1])).partition(": ")[2] if said else format_error(raised[-1])


def _repository_page(request: HubRequest) -> str:
    return f"{_hub_endpoint()}/{'datasets/' if request.kind == 'dataset' else ''}{request.repository}"


def _hub_endpoint() -> str:
    """Without a name and a password that an address may hold."""
    address = urlsplit(os.environ.get("HF_ENDPOINT") or HUB)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
