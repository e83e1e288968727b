"""FetchError: why a source cannot be fetched, whose fault that is, and error text without secrets."""

import errno
import re
import sqlite3
from pathlib import Path

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.event import Fault

UNREACHABLE_PATTERN = r"Failed to (?:resolve '[\w.-]+'|establish a new connection)|Unable to connect to proxy|timed out"
"""What a library says, among much else, of a host that it had no answer from."""

_SECRET = r"\?\S+|\bhf_\w{8,}|(?i:\bbearer )\S+|\beyJ[\w.-]+|//[^/@\s]+@"


class FetchError(Exception):
    """It cannot be fetched. The text is a sentence for the person who runs the job. fault: whose it is."""

    def __init__(self, sentence: str, fault: Fault = "") -> None:
        super().__init__(sentence)
        self.fault: Fault = fault


def format_error(error: BaseException) -> str:
    """What `error` says, in one line, without anything that could be a secret: addresses lose their query."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {re.sub(_SECRET, '…', first)}"


def blame_no_answer(*raised: BaseException) -> Fault:
    """Whose fault it is that a request got no answer: a host that nobody knows is mistyped, all else may pass."""
    return "configuration" if any(re.search(failure.UNKNOWN_HOST, str(error)) for error in raised) else "network"


def blame_error(error: BaseException) -> Fault:
    """Whose fault an error is that is no service's: the machine's where it says so, else that of the programs."""
    return failure.classify_error(format_error(error)) or ("" if isinstance(error, OSError) else "code")


def format_system_error(error: OSError) -> str:
    """The operating system's own trouble (a full disk, a folder that is not ours); a library's is named as such."""
    if error.errno and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return format_error(error)


TRANSIENT_STATUS = (408, 425, 429)
_STATUS = r"non-2xx status code: (\d{3})"
_PERMANENT_ERRORS = ("PermissionDeniedError", "InvalidPathError", "NotSupportedError", "UnknownConfigurationKeyError")


class ContentMismatch(Exception):
    """What came is not what was listed: a length or a digest differs. The text says which."""


class RequestStalled(TimeoutError):
    """Nothing came for too long."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, ContentMismatch | RequestStalled | TimeoutError):
        return True
    kinds = {base.__name__ for base in type(error).__mro__}
    if "BaseError" not in kinds or not kinds.isdisjoint(_PERMANENT_ERRORS):
        return False
    status = parse_http_status(error)
    return not status or status in TRANSIENT_STATUS or status >= 500 or is_unauthenticated(error)


def is_unauthenticated(error: BaseException) -> bool:
    """Whether the service does not know who asks: a token may just have run out."""
    return "UnauthenticatedError" in {base.__name__ for base in type(error).__mro__}


def describe_file_change(error: BaseException) -> str:
    """What became of the file, when it is not any more what was listed; empty when nothing did."""
    kinds = {base.__name__ for base in type(error).__mro__}
    if "FileNotFoundError" in kinds and not getattr(error, "errno", None):
        return "deleted"
    return "changed" if "PreconditionError" in kinds or parse_http_status(error) == 416 else ""


def parse_http_status(error: BaseException) -> int:
    """The HTTP status in obstore's words; 0 for none."""
    found = re.search(_STATUS, str(error))
    return int(found[1]) if found else 0


_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_NETWORK_DISK_ERRNOS = (errno.ESTALE, errno.ETIMEDOUT)


def make_fetch_error(error: BaseException, cache: Path) -> FetchError:
    """The sentence; never with a secret."""
    if isinstance(error, FetchError):
        return error
    if is_disk_full(error):
        return FetchError(_describe_full_disk(error, cache), "disk_full")
    if is_out_of_memory(error):
        return FetchError("there was not enough memory to fetch the data: give the job more", "out_of_memory")
    if isinstance(error, OSError):
        return FetchError(format_system_error(error), "network" if error.errno in _NETWORK_DISK_ERRNOS else "")
    return FetchError(format_error(error))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this process got no more memory."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def is_disk_full(error: BaseException) -> bool:
    """Whether a disk, or somebody's share of it, is full."""
    if isinstance(error, sqlite3.OperationalError):
        return "disk is full" in str(error)
    return isinstance(error, OSError) and error.errno in _FULL_ERRNOS


def _describe_full_disk(error: BaseException, cache: Path) -> str:
    where = getattr(error, "filename", None)
    if isinstance(where, str) and Path(where).is_absolute() and not Path(where).is_relative_to(cache):
        return f"the disk of {where} is full: make room there"
    return f"the disk of {cache} is full: make room, or set ROBOTRAIN_CACHE"
