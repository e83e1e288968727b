"""Errors of the Hugging Face Hub as sentences: where a revision is pinned, and where data is fetched.

Standard library only: errors are known by the names of their classes. A text of the library is repeated without
addresses' passwords and without tokens, as `format_error` does.
"""

import os
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from robotrain_runtime.contract.address import make_page_address, remove_user
from robotrain_runtime.contract.event import Fault

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import get_class_names, iter_causes

HUB = "https://huggingface.co"
UNPARSED = {"ValueError", "LookupError", "TypeError", "AttributeError"}
"""Errors of the library about an answer that it cannot parse."""

Reason = Literal["gated", "missing", "no-revision", "denied", "offline", "other"]


class HubFailure(NamedTuple):
    """Why the Hub did not give what it was asked for."""

    reason: Reason
    why: str
    """A sentence without its period."""
    fault: Fault = "configuration"


@dataclass(frozen=True, kw_only=True)
class HubRequest:
    """A request to the Hub."""

    repository: str
    kind: str
    """`model` or `dataset`."""
    revision: str
    token: str
    """The token in words; empty for none."""
    remedy: str = ""
    """How to give the request a token, or another one."""
    is_pin: bool = False
    """Whether a commit is looked up at submit; otherwise files are fetched."""

    @property
    def page(self) -> str:
        """The address of the repository's page."""
        return f"{format_site()}/{'datasets/' if self.kind == 'dataset' else ''}{self.repository}"

    @property
    def token_hint(self) -> str:
        """What gives the request a token that has access."""
        remedy = self.remedy or "set HF_TOKEN"
        return (
            f"{self.token} has no access; to use another one: {remedy}"
            if self.token
            else f"a token is needed: {remedy}"
        )


def explain_hub_error(error: Exception, request: HubRequest, *, is_answer: bool = False) -> HubFailure:
    """Return why the Hub failed.

    :param is_answer: the query of the repository raised the error; a parsing error then means that the answer is
        not that of a Hub.
    """
    causes = list(iter_causes(error))
    names, hub = get_class_names(*causes), format_hub()
    subject = f"the {request.kind} {request.repository}"
    status = next((code for cause in causes if (code := errors.parse_http_status(cause))), 0)
    if "GatedRepoError" in names:
        return HubFailure("gated", f"{subject} is gated: request access at {request.page}; {request.token_hint}")
    if "RevisionNotFoundError" in names:
        return HubFailure("no-revision", f"{subject} has no revision {request.revision or 'main'} on {hub}")
    # without a token, the Hub answers 401 for a missing repository
    is_missing = request.is_pin and (status == 404 or (status == 401 and not request.token))
    if "RepositoryNotFoundError" in names or is_missing:
        missing = f"{hub} has no {'' if request.token else 'public '}{request.kind} {request.repository}"
        return HubFailure("missing", f"{missing}: check the spelling; if it is private, {request.token_hint}")
    if "OfflineModeIsEnabled" in names:
        return HubFailure("offline", f"{request.repository} is not in the cache, and HF_HUB_OFFLINE is set")
    if status == 401 and request.token:
        wrong = f"{hub} does not accept {request.token} for {request.repository}, it is wrong or has expired (HTTP 401)"
        return HubFailure("other", f"{wrong}; to use another one: {request.remedy or 'set HF_TOKEN'}")
    if status in (401, 403):
        reason: Reason = "denied" if status == 403 else "other"
        hint = f"if it is gated, request access at {request.page}; {request.token_hint}"
        return HubFailure(reason, f"{hub} does not give {subject} (HTTP {status}): {hint}")
    if not request.is_pin and status == 404:
        return HubFailure("other", f"a file of {subject} was deleted on {hub}: start the run again", "data")
    is_unparsed = not UNPARSED.isdisjoint(get_class_names(error)) and not isinstance(error, UnicodeEncodeError)
    if names & {"JSONDecodeError", "RecursionError"} or (is_answer and is_unparsed):  # nested without end
        return explain_other_server()
    is_of_hub = (
        status or errors.is_transient(error) or "TransportError" in names or any("Timeout" in name for name in names)
    )
    failure = errors.explain(error, hub if is_of_hub else request.repository)
    return HubFailure("other", failure.sentence, failure.fault)


def explain_other_server() -> HubFailure:
    """Return the failure of a server that is not a Hub."""
    return HubFailure("other", f"the server at {_get_host()} is not a Hugging Face Hub: check HF_ENDPOINT")


def find_endpoint_problem() -> str:
    """Return why HF_ENDPOINT is not valid; empty if it is. The library repeats a part of it, perhaps a password."""
    try:
        make_page_address(os.environ.get("HF_ENDPOINT") or HUB, "")
    except ValueError as error:
        return f"HF_ENDPOINT cannot be used: {error}"
    return ""


def find_token_problem(token: str) -> str:
    """Return why the token of this machine is not valid; empty if it is, or if there is none."""
    if not token or re.fullmatch(r"[!-~]+", token):
        return ""
    return "the token (HF_TOKEN, or that of `hf auth login`) has characters that no token has: copy it again"


def format_hub() -> str:
    """Return the Hub in a sentence, by its host."""
    return f"the Hub at {_get_host()}"


def format_site() -> str:
    """Return the Hub's address without user and password."""
    address = urlsplit(remove_user(os.environ.get("HF_ENDPOINT") or HUB))
    return f"{address.scheme}://{address.netloc}"


def _get_host() -> str:
    return format_site().partition("//")[2]
