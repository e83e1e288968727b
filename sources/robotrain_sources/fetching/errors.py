"""FetchError: why a source cannot be fetched, whose fault that is, and error text without secrets."""

import re

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
