"""Causes of failures that programs report in their own words: whose fault it is, what it concerns, and what helps.

A table, for every workload; the first row that matches a text counts. Its patterns are those of PyTorch, CUDA, the
Hub, the system and Python. A fault of the machine or of access is no fault of the program, which reports it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

TYPE_CHECKING = False  # as in `failure`, which every command imports
if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Fault


class Cause(NamedTuple):
    """A row: what a failure's words mean."""

    name: str
    fault: Fault
    pattern: str
    """Searched for in a line of the failure; compiled by `re` at first use, since few commands need any."""
    remedy: str = ""
    """One step that helps, as a sentence without its period."""
    subject: str = ""
    """The pattern of what it concerns in all lines; its last match counts."""
    is_common: bool = False
    """Whether programs that go on print it too: only the failure's own line counts."""


class FoundCause(NamedTuple):
    """The cause of one failure."""

    cause: str = ""
    """The name of the row; empty for none."""
    fault: Fault = ""
    subject: str = ""
    """The name of what it concerns, such as a file; empty if it is not named."""
    remedy: str = ""


UNKNOWN_HOST = r"Name or service not known|No address associated with hostname"
"""Errors of a host name that does not exist: probably mistyped. An unreachable name server reports otherwise."""
UNTRUSTED = (
    r"(?i:certificate verify failed)(?:: [\w' -]*\w)?|invalid peer certificate: \w+"
    r"|(?:SSLCertVerificationError|CERTIFICATE_VERIFY_FAILED)(?!.*certificate verify failed)"
)
"""What the clients of OpenSSL and of Rust say of a certificate that they do not trust."""
NO_ANSWER = (
    r"^[\w.]*(?:Connection|Connect|Protocol|Proxy|ServiceRe\w+|IncompleteRead|MaxRetry|NameResolution)\w*Error\b"
    r"|^[\w.]*(?:(?:Read|Connect|Write|Pool)?Timeout(?:Error)?|gaierror|IncompleteRead|RemoteDisconnected)\b"
    r"|Temporary failure in name resolution|Network is unreachable|too many 50\d error responses"
    r"|(?i:\bconnection (?:refused|reset|aborted)|\b(?:connection|operation|request|urlopen error) timed out)"
    r"|\bHTTP\b.{0,24}\b5\d\d\b|\b5\d\d (?:Server Error|Internal Server|Bad Gateway|Service Unavail|Gateway Time)"
    r"|\bstatus(?:_code| code)?\W{1,3}5\d\d\b"
)
_FILE = r"'([^']+)'\s*$"

CAUSES: tuple[Cause, ...] = (
    Cause(
        "gpu-memory",
        "configuration",  # the job can use less
        r"CUDA out of memory|(?:CUDA|HIP|MPS|XPU) .*out of memory|torch(?:\.\w+)*\.OutOfMemoryError"
        r"|\b(?:CUBLAS|CUDNN|CUSOLVER)_STATUS_ALLOC_FAILED",
        "use a smaller batch, or a GPU with more memory; `nvidia-smi` shows what else holds it",
        r"\b(GPU \d+) has a total capacity of",
    ),
    Cause(
        "shared-memory",
        "machine",
        r"insufficient shared memory|unable to (?:open|allocate) shared memory|out of shared memory"
        r"|killed by signal: Bus error",
        "give the container more shared memory (/dev/shm), or load data with fewer processes",
    ),
    Cause(
        "disk-full",
        "disk_full",
        r"No space left on device|Disk quota exceeded|disk is full|ENOSPC",
        "free space, or ask for a larger disk",
        rf"(?:No space left on device|Disk quota exceeded): {_FILE}",
    ),
    Cause(
        "allocation-size",
        "configuration",  # no other try has so much
        r"(?:[Uu]nable to allocate|tried to allocate) (?:\d{2,}[\d.]* GiB|[\d.]+ [TPE]iB|\d{11,} bytes)",
        "use less data at once",
    ),
    Cause(
        "host-memory",
        "out_of_memory",
        r"^MemoryError\b|Cannot allocate memory|can't allocate memory|\b_ArrayMemoryError\b|\bstd::bad_alloc\b",
        "give the job more memory, or load data with fewer processes and a smaller batch",
    ),
    Cause(
        "gpu-driver",
        "machine",
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|cudaErrorInsufficientDriver"
        r"|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|[Dd]river/library version mismatch",
        "use a machine with a newer NVIDIA driver, or a PyTorch built for an older CUDA",
        r"\b(?:found )?(version \d+)\)",
    ),
    Cause(
        "gpu-missing",
        "machine",
        r"Found no NVIDIA driver|No CUDA GPUs are available|no CUDA-capable device|not compiled with CUDA enabled",
        "use a machine that gives the job a GPU and its driver (`nvidia-smi` shows both there), and a PyTorch for CUDA",
    ),
    Cause(
        "rank-lost",
        "network",
        r"(?i)\bconnection closed by peer|ncclRemoteError|Connection was likely closed",
        "see the log of the other processes: one of them ended first",
    ),
    Cause(
        "rate-limit",
        "network",
        r"\b429 Client Error|Too Many Requests|\bHTTP (?:Error )?429\b|status(?:_code| code)?\W{1,3}429\b"
        r"|(?i:rate limit (?:exceeded|reached))",
        "wait some minutes, and start fewer jobs at once (the Hub allows more with a token, HF_TOKEN)",
        r"for url: https?://([^/\s?'\"]+)",
        is_common=True,
    ),
    Cause(
        "access-denied",
        "access",
        r"\b(?:GatedRepo|RepositoryNotFound|LocalTokenNotFound|ClientAuthentication|NoCredentials)Error\b|gated repo"
        r"|\b40[13] Client Error|\bHTTP (?:Error )?40[13]\b|\bstatus(?:_code| code)?\W{1,3}40[13]\b|\bAccessDenied\b"
        r"|Authorization(?:Failure|PermissionMismatch)|AuthenticationFailed|api_key not configured",
        "give the job a sign-in, such as HF_TOKEN or a role of its identity, that may read it",
        r"for url: (https?://[^\s?'\"]+)",
    ),
    Cause(
        "file-denied",
        "access",
        r"\[Errno (?:13|1|30)\]|^PermissionError\b|: Permission denied$|Read-only file system",
        "let the job's user read and write it, or use another folder",
        rf"\[Errno (?:13|1|30)\] [^:]+: {_FILE}|([^\s:]+): (?:Permission denied|Read-only file system)$",
    ),
    Cause("dataset", "data", r"\bthe dataset cannot be used: ", "`robotrain data check DATASET` looks for more"),
    Cause(
        "module-missing",
        "code",
        r"^ModuleNotFoundError: No module named ",
        "add its package to those of the job, use an image that has it, or correct the import",
        r"No module named '([^']+)'",
    ),
    Cause(
        "file-missing",
        "configuration",
        r"\[Errno (?:2|20)\]|^FileNotFoundError\b|: No such file or directory$|Directory nonexistent$"
        r"|^\S*sh: (?:line )?(?:\d+: )?\S+: (?:command )?not found$",
        "the job needs a path that is there where it runs: among its sources, in its code or its image",
        rf"\[Errno (?:2|20)\] [^:]+: {_FILE}|can't open file '([^']+)'|([^\s:]+): (?:No such file or d|D)irectory"
        r"(?: nonexistent)?$|(\S+): (?:command )?not found$",
        is_common=True,
    ),
    Cause(
        "port-taken",
        "machine",
        r"\[Errno (?:98|48)\]|\bEADDRINUSE\b|[Aa]ddress already in use",
        "use another port, or end what listens there (`ss -ltnp` shows it)",
        r"\bport:? (\d+)|\('[\w.:]*', (\d+)\)|:(\d+): .*already in use",
        is_common=True,
    ),
    Cause("unknown-host", "configuration", UNKNOWN_HOST, "check the host's name, and that its machine may reach it"),
    Cause(
        "certificate",
        "machine",
        UNTRUSTED,
        "set SSL_CERT_FILE and REQUESTS_CA_BUNDLE where the job runs, to a file with the certificates of that network,"
        " or correct the machine's clock",
    ),
    Cause("network", "network", NO_ANSWER, is_common=True),
)
"""Specific rows first: a gated repository answers with HTTP 401."""
HOST_MEMORY = next(cause for cause in CAUSES if cause.name == "host-memory")
KILLED = Cause(
    "killed",
    "",
    "",
    "look up who killed it: the system's log (`dmesg`) on its machine names what it killed",
    r"(DataLoader worker \(pid(?:\(s\))? \d+\)) is killed",
)
"""Nothing says that memory ran out."""
STOPPED = Cause(
    "stopped",
    "stopped",
    r"\bSignalException\b.* got signal: \d+",
    "look up who stopped it: a time limit, a machine that was taken back, a person; the platform's events name it",
)
"""By a signal that robotrain did not send."""
CRASHED = Cause(
    "crashed",
    "code",
    r"\bSignal \d+ \(SIG(?:SEGV|BUS|ILL|FPE|ABRT)\) received by PID|^Fatal Python error: ",
    "a library crashed, often one that was built for another version; PYTHONFAULTHANDLER=1 lets Python print the line",
    r"most recent call first\):\n\s*File (\"[^\"]+\", line \d+)",
)
"""Nothing else says why."""


def find_cause(texts: Sequence[str], output: Sequence[str] = (), others: Sequence[str] = ()) -> FoundCause:
    """Return the cause that the first matching text names; an empty one if none does.

    :param texts: lines of the failure, the one that says most first.
    :param output: all lines, in which the subject may stand.
    :param others: more lines, which may be about what was tried again: no common cause is found there.
    """
    for index, text in enumerate((*texts, *others)):
        for cause in CAUSES:
            if re.search(cause.pattern, text) and not (cause.is_common and index >= len(texts)):
                return describe_cause(cause, output or texts)
    return FoundCause()


def describe_cause(cause: Cause, output: Sequence[str] = ()) -> FoundCause:
    """Return a cause with its subject as the lines of a failure name it."""
    matches = [*re.finditer(cause.subject, "\n".join(output), re.MULTILINE)] if cause.subject else []
    subject = next(filter(None, matches[-1].groups()), "") if matches else ""
    return FoundCause(cause.name, cause.fault, subject, cause.remedy)
