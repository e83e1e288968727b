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
from robotrain_runtime.contract.certificate_trust import find_untrusted_certificate
from robotrain_runtime.contract.event import Fault

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import blame_error, blame_no_answer, format_error, get_class_names, iter_causes

HUB = "https://huggingface.co"
WRONG_TOKEN_MESSAGE = "Invalid credentials"
"""Part of the Hub's message about a token that it does not know."""
UNPARSED = {"ValueError", "LookupError", "TypeError", "AttributeError"}
"""Errors of the library about an answer that it cannot parse."""

Reason = Literal["gated", "missing", "no-revision", "denied", "disabled", "offline", "other"]


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
    def subject(self) -> str:
        """The repository in a sentence."""
        return f"{self.kind} {self.repository}"

    @property
    def other_token_hint(self) -> str:
        """End of a sentence about a token without access."""
        return f"; to use another token: {self.remedy}" if self.remedy else ""


def explain_hub_error(error: Exception, request: HubRequest, *, is_answer: bool = False) -> HubFailure:
    """Return why the Hub failed.

    :param is_answer: the query of the repository raised the error; a parsing error then means that the answer is
        not that of a Hub.
    """
    causes = list(iter_causes(error))
    class_names = get_class_names(*causes)
    if failure := _explain_refusal(class_names, request):
        return failure
    if status := next((code for cause in causes if (code := errors.parse_http_status(cause))), 0):
        answers = (getattr(cause, "response", None) for cause in causes)
        headers = (getattr(response, "headers", {}) for response in answers if response is not None)
        message = next((str(header["X-Error-Message"]) for header in headers if "X-Error-Message" in header), "")
        return _explain_status(status, message, request)  # the message is compared, never shown
    is_unparsed = not UNPARSED.isdisjoint(get_class_names(error)) and not isinstance(error, UnicodeEncodeError)
    if class_names & {"JSONDecodeError", "RecursionError"} or (is_answer and is_unparsed):  # nested without end
        return explain_other_server()
    hub = format_hub()
    if any("Timeout" in name for name in class_names):
        return HubFailure("other", f"{hub} did not answer in time for {request.repository}: try again later", "network")
    if bad_certificate := find_untrusted_certificate(*causes):
        return HubFailure("other", f"{hub} cannot be reached: {bad_certificate}", "machine")
    transport_error = errors.describe_transport_error(error)
    if transport_error or "TransportError" in class_names:
        cause = describe_no_answer(error)
        if "response body" in cause or "message body" in cause:
            return HubFailure("other", f"the connection to {hub} broke ({cause})", "network")
        return HubFailure("other", f"{hub} cannot be reached: {cause}", blame_no_answer(*causes))
    if request.is_pin:
        return HubFailure("other", f"{hub} cannot be reached: {_get_system_message(causes) or type(error).__name__}")
    fault = "network" if errors.is_transient(error) else blame_error(error)
    return HubFailure("other", f"{request.repository}: {format_error(error)}", fault)


def explain_other_server() -> HubFailure:
    """Return the failure of a server that is not a Hub."""
    return HubFailure("other", f"the server at {_get_host()} is not a Hugging Face Hub: check HF_ENDPOINT")


def _explain_refusal(class_names: set[str], request: HubRequest) -> HubFailure | None:
    """Return the failure that an exception class of the library means; None for others."""
    if "GatedRepoError" in class_names:
        if request.token:
            reason = f"and {request.token} has no access: request access at {request.page}{request.other_token_hint}"
            return HubFailure("gated", f"the {request.subject} is gated {reason}")
        remedy = request.remedy or "set HF_TOKEN to a token of your account"
        return HubFailure("gated", f"the {request.subject} is gated: request access at {request.page} and {remedy}")
    if "RepositoryNotFoundError" in class_names:
        return _explain_missing(request)
    if "RevisionNotFoundError" in class_names:
        reason = f"the {request.subject} has no revision {request.revision or 'main'} on {format_hub()}"
        return HubFailure("no-revision", reason)
    if "OfflineModeIsEnabled" in class_names:
        reason = f"{request.repository} is not in the cache, and HF_HUB_OFFLINE is set: unset it, or use a local folder"
        return HubFailure("offline", reason)
    return None


def _explain_missing(request: HubRequest) -> HubFailure:
    if request.token:
        private = f"{request.token} has no access to it{request.other_token_hint}"
        reason = f"{format_hub()} has no {request.subject}"
    else:
        private = f"a token is needed: {request.remedy or 'set HF_TOKEN'}"
        reason = f"{format_hub()} has no public {request.subject}"
    return HubFailure("missing", f"{reason}: check the spelling; if it is private, {private}")


def _explain_status(status: int, message: str, request: HubRequest) -> HubFailure:
    """Return the failure of an HTTP status that has no exception class of its own."""
    hub, name = format_hub(), request.repository
    if status == 403 and "disabled" in message:
        return HubFailure("disabled", f"{hub} has disabled the {request.subject}")
    # without a token, the Hub answers 401 and 404 for a missing repository
    if request.is_pin and (
        status == 404 or (status == 401 and not request.token and WRONG_TOKEN_MESSAGE not in message)
    ):
        return _explain_missing(request)
    if status in (401, 403) and not request.token:
        reason = f"{hub} requires a token for {name} (HTTP {status}): {request.remedy or 'set HF_TOKEN'}"
        return HubFailure("denied" if status == 403 else "other", reason)
    if status == 401:
        reason = f"{hub} does not accept {request.token} for {name}, it is wrong or has expired (HTTP 401)"
        return HubFailure("other", f"{reason}{request.other_token_hint}")
    if status == 403:
        reason = f"{request.token} may not read the {request.subject} (HTTP 403)"
        right_remedy = f"grant it that right at {format_site()}/settings/tokens"
        if not request.is_pin:  # the store does not tell that a repository is gated
            right_remedy = f"if it is gated, request access at {request.page}; else {right_remedy}"
        return HubFailure("denied", f"{reason}: {right_remedy}{request.other_token_hint}")
    if status in (404, 416):
        reason = f"a file of {name} was changed or deleted on {hub} (HTTP {status}): start the run again"
        return HubFailure("other", reason, "data")
    if status == 429:
        return HubFailure("other", f"{hub} has received too many requests (HTTP 429): wait a few minutes", "network")
    if status in errors.TRANSIENT_STATUS or status >= 500:
        return HubFailure("other", f"{hub} answered HTTP {status} for {name}: try again later", "network")
    return HubFailure("other", f"{hub} answered HTTP {status} for {name}")


def describe_no_answer(error: BaseException) -> str:
    """Return in a few words why a server gave no answer."""
    causes = list(iter_causes(error))
    transport_error = errors.describe_transport_error(error)
    return transport_error or _get_system_message(causes) or format_error(causes[-1]).rstrip(".")


def _get_system_message(causes: list[BaseException]) -> str:
    """Return the first message of the system; empty for none."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return ""


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
