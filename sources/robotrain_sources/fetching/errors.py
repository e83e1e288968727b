"""Errors of fetching: FetchError with its fault, which errors are transient, error text without secrets."""

import errno
import os
import re
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.address import remove_user
from robotrain_runtime.contract.event import Fault

UNREACHABLE_PATTERN = (
    r"Failed to (?:resolve '[\w.-]+'|establish a new connection)|Unable to connect to proxy|timed out|"
    + failure.UNTRUSTED
)
"""Part of a library's message that says that a host did not answer."""

_TRANSPORT_ERROR = r".*HTTP error: (.+)"
_SECRET = r"\?\S+|\bhf_\w{8,}|(?i:\bbearer )\S+|\beyJ[\w.-]+|//[^/@\s]+@"


class FetchError(Exception):
    """A source cannot be fetched: a sentence for the user, whose fault it is, and perhaps what to type."""

    def __init__(self, sentence: str, fault: Fault = "", way: str = "") -> None:
        super().__init__(f"{sentence}: {way}" if way else sentence)
        self.sentence, self.way = sentence, way
        self.fault: Fault = fault


RETRY_PAUSE_SECONDS = 1.0

Answer = TypeVar("Answer")


def retry_once(request: Callable[[], Answer]) -> Answer:
    """Return the answer of `request`, which is repeated once if the network failed. Raise FetchError."""
    try:
        return request()
    except FetchError as error:
        if error.fault != "network":
            raise
    time.sleep(RETRY_PAUSE_SECONDS)
    return request()


def get_class_names(*raised: BaseException) -> set[str]:
    """Return the names of the classes of errors, of libraries that are not imported here."""
    return {base.__name__ for error in raised for base in type(error).__mro__}


def iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the innermost last; each once, also if they form a cycle."""
    seen_ids = set[int]()
    while error is not None and id(error) not in seen_ids:
        seen_ids.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def format_error(error: BaseException) -> str:
    """Return type and first line of an error without anything that could be a secret: addresses lose their query."""
    first_line = next(iter(str(error).splitlines()), "")
    first_line = re.sub(
        r"(?:[\w+.-]+:)?//\S+", lambda match: remove_user(match[0]), first_line
    )  # a match may be several
    return f"{type(error).__name__}: {re.sub(_SECRET, '…', first_line)}"


def explain(
    error: BaseException, subject: str, *, hints: Mapping[int, str] = {}, way: str = "", sign_in: str = ""
) -> FetchError:
    """Return any library's error as one sentence without secrets: the subject, what was answered, what to do.

    :param hints: what to do, by the HTTP status.
    :param sign_in: what to do if Azure has no identity for the request.
    """
    if isinstance(error, FetchError):
        return error
    if "ClientAuthenticationError" in get_class_names(error) and not parse_http_status(error):
        return explain_sign_in(error, subject, sign_in)
    causes = list(iter_causes(error))
    if status := next((status for cause in causes if (status := parse_http_status(cause)) >= 400), 0):
        hint = hints.get(status, STATUS_HINTS.get(status, "try again later" if status >= 500 else ""))
        details = "; ".join(filter(None, (*map(_get_service_message, causes), hint)))
        answer = f"HTTP {status} {next(filter(None, map(get_service_code, causes)), '')}".strip()
        return FetchError(f"{subject} answered {answer}{details and f': {details}'}", blame_status(status), way)
    if any("Timeout" in name for name in get_class_names(*causes)):
        return FetchError(f"{subject} did not answer in time: try again later", "network")
    if not get_class_names(*causes).isdisjoint(_NO_ANSWER_CLASSES) or describe_transport_error(error):
        cause = describe_transport_error(error) or _get_system_message(causes) or format_error(causes[-1]).rstrip(".")
        return FetchError(f"{subject} cannot be reached: {cause}", blame_no_answer(*causes))
    fault = "network" if is_transient(error) else blame_error(error)
    return FetchError(f"{subject} cannot be read: {format_error(error)}", fault)


STATUS_HINTS = {
    401: "sign in",
    404: "check the spelling",
    408: "try again later",
    412: "it changed while it was read: start the run again",
    416: "it changed while it was read: start the run again",
    429: "too many requests: wait a few minutes",
}
_NO_ANSWER_CLASSES = ("AzureError", "TransportError", "URLError")


def get_service_code(error: BaseException) -> str:
    """Return the service's own code for an error of Azure's SDK or of obstore; empty for none."""
    details = getattr(error, "error", None)
    code = getattr(error, "error_code", None) or (getattr(details, "innererror", None) or {}).get("code")
    code = getattr(code, "value", code) or getattr(details, "code", None)  # for some, the SDK has an enum
    match = re.search(r"<Code>(\w+)</Code>", str(error))
    return str(code or (match[1] if match else ""))


def _get_service_message(error: BaseException) -> str:
    message = getattr(getattr(error, "error", None), "message", None) or ""
    return format_error(ValueError(message)).partition(": ")[2].rstrip(". ")


SIGN_IN_REASON_PATTERN = (
    r"AADSTS\d+: [^.\n]*|(?:No such file or directory|Permission denied)(?:: '[^'\n]+')?"
    r"|No User Assigned[\w ]* Managed Identity found[\w ]*|Identity not found"
)
_REJECTED_VARIABLES = {
    "AADSTS7000215": "AZURE_CLIENT_SECRET",  # not a secret of the client
    "AADSTS7000222": "AZURE_CLIENT_SECRET",  # expired
    "AADSTS700016": "AZURE_CLIENT_ID",
    "AADSTS90002": "AZURE_TENANT_ID",
    "AADSTS900023": "AZURE_TENANT_ID",
}


def find_rejected_variable(message: str) -> str:
    """Return the environment variable whose value Azure's sign-in rejects; empty if there is none."""
    variable_names = (_REJECTED_VARIABLES.get(code, "") for code in re.findall(r"AADSTS\d+", message))
    return next((name for name in variable_names if os.environ.get(name)), "")


def suggest_other_value(variable: str) -> str:
    """Return what to do about a rejected environment variable."""
    return f"set a valid {variable}, or unset it to use another sign-in"


def explain_sign_in(error: BaseException, subject: str, hint: str) -> FetchError:
    """Return the error for a failed sign-in to Azure; `subject` is what cannot be read."""
    reason = re.search(SIGN_IN_REASON_PATTERN, str(error))
    texts = "\n".join(map(str, iter_causes(error)))
    if not reason and (unreachable := re.search(UNREACHABLE_PATTERN, texts)):
        explanation = f"cannot reach Azure's sign-in to read {subject} ({unreachable[0]})"
        return FetchError(f"{explanation}: try again later", "machine" if "ertificate" in unreachable[0] else "network")
    variable = find_rejected_variable(str(error))
    explanation = f"there is no Azure identity to read {subject}" + (f" ({reason[0]})" if reason else "")
    return FetchError(f"{explanation}: {suggest_other_value(variable) if variable else hint}", "configuration")


def blame_status(status: int) -> Fault:
    """Return whose fault an HTTP status of 400 or more is."""
    if status in TRANSIENT_STATUS or status >= 500:
        return "network"
    return "data" if status in (412, 416) else "configuration"


def _get_system_message(causes: Sequence[BaseException]) -> str:
    """Return the first message of the system; empty for none."""
    return next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), "")


def blame_no_answer(*raised: BaseException) -> Fault:
    """Return whose fault it is that a request got no answer: an unknown host is mistyped; else the network's.

    Which certificates are trusted is a matter of this machine.
    """
    texts = "\n".join(map(str, raised))
    if re.search(failure.UNTRUSTED, texts):
        return "machine"
    return "configuration" if re.search(failure.UNKNOWN_HOST, texts) else "network"


def blame_error(error: BaseException) -> Fault:
    """Return whose fault an error outside a service is: the machine's if it says so, else the code's."""
    return failure.classify_error(format_error(error)) or ("" if isinstance(error, OSError) else "code")


def format_system_error(error: OSError) -> str:
    """Return the system's message and file (disk full, permission denied); a library's error by its type."""
    if error.errno and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return format_error(error)


TRANSIENT_STATUS = (408, 425, 429)
_STATUS = r"non-2xx status code: (\d{3})"
_PERMANENT_ERRORS = ("PermissionDeniedError", "InvalidPathError", "NotSupportedError", "UnknownConfigurationKeyError")


class ContentMismatch(Exception):
    """A file differs from its listing in length or digest. The text says how."""


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, ContentMismatch | TimeoutError):
        return True
    kinds = get_class_names(error)
    if "BaseError" not in kinds or not kinds.isdisjoint(_PERMANENT_ERRORS):
        return False
    status = parse_http_status(error)
    return not status or status in TRANSIENT_STATUS or status >= 500 or is_unauthenticated(error)


def is_unauthenticated(error: BaseException) -> bool:
    """Return whether the service does not know the caller: a token may just have expired."""
    return "UnauthenticatedError" in get_class_names(error)


def describe_file_change(error: BaseException) -> str:
    """Return "deleted" or "changed" if the file is no longer the one that was listed; else empty."""
    kinds = get_class_names(error)
    if "FileNotFoundError" in kinds and not getattr(error, "errno", None):
        return "deleted"
    return "changed" if "PreconditionError" in kinds or parse_http_status(error) == 416 else ""


def parse_http_status(error: BaseException) -> int:
    """Return the HTTP status of a library's error, or in obstore's message; 0 for none."""
    response = getattr(error, "response", None)
    if status := getattr(error, "status_code", 0) or getattr(response, "status_code", 0):
        return int(status)
    if isinstance(error, urllib.error.HTTPError):
        return error.code
    match = re.search(_STATUS, str(error))
    return int(match[1]) if match else 0


def describe_transport_error(error: BaseException) -> str:
    """Return why a request of obstore got no answer; empty for other errors."""
    match = re.search(_TRANSPORT_ERROR, str(error))
    return format_error(ValueError(match[1])).partition(": ")[2] if match else ""


_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_NETWORK_DISK_ERRNOS = (errno.ESTALE, errno.ETIMEDOUT)


def make_fetch_error(error: BaseException, cache: Path) -> FetchError:
    """Return any error as a FetchError, without secrets."""
    if isinstance(error, FetchError):
        return error
    if is_disk_full(error):
        place = getattr(error, "filename", None) or cache
        return FetchError(f"the disk of {place} is full: free some space, or set ROBOTRAIN_CACHE", "disk_full")
    if is_out_of_memory(error):
        return FetchError("not enough memory to fetch the data: give the job more memory", "out_of_memory")
    if isinstance(error, OSError):
        return FetchError(format_system_error(error), "network" if error.errno in _NETWORK_DISK_ERRNOS else "")
    return FetchError(format_error(error))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether this process ran out of memory."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def is_disk_full(error: BaseException) -> bool:
    """Return whether a disk, or a quota of it, is full."""
    return isinstance(error, OSError) and error.errno in _FULL_ERRNOS
