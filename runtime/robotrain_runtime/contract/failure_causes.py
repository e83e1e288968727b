"""Causes of failures that programs report in their own words: whose fault it is, what it concerns, and what helps.

A table, for every workload; the first row that matches a text counts. Its patterns are those of PyTorch, NCCL, CUDA,
the Hub, the system and Python. A fault of the machine or of access is no fault of the program, which reports it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

TYPE_CHECKING = False  # as in `failure`, which every command imports
if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Fault


UNTRUSTED = r"(?i:certificate.verify.failed)|SSLCertVerificationError|invalid peer certificate"
"""What the clients of OpenSSL and of Rust say of a certificate that they do not trust."""


class Cause(NamedTuple):
    """A row: what a failure's words mean."""

    name: str
    fault: Fault
    pattern: str
    """Searched for in a line of the failure; compiled by `re` at first use, since few commands need any."""
    remedy: str = ""
    """One step that helps, as a sentence without its period; `{subject}` stands in it."""
    kind: str = ""
    """The subject where the words do not name it."""
    subject: str = ""
    """The pattern of the subject in all lines; its last match counts, with its groups joined by a space."""
    is_common: bool = False
    """Whether programs that go on print it too: only the failure's own line counts."""


class FoundCause(NamedTuple):
    """The cause of one failure."""

    cause: str = ""
    """The name of the row; empty for none."""
    fault: Fault = ""
    subject: str = ""
    """The name of what it concerns, such as a repository or a file; empty if it is not named."""
    remedy: str = ""


UNKNOWN_HOST = r"Name or service not known|No address associated with hostname"
"""Errors of a host name that does not exist: probably mistyped. An unreachable name server reports otherwise."""
_REPOSITORY = r"(?:\burl:? |Cannot access content at: |access to it at )https?://[^/\s]+/"
_REPOSITORY += r"(?:api/(?:models|datasets|spaces)/|datasets/)?([\w.-]+/[\w.-]+?)(?=[/\s'\"?]|\.?$)"
_TOKEN = "give the job a token (HF_TOKEN) that may read it"
_FILE = r"'([^']+)'\s*$"

CAUSES: tuple[Cause, ...] = (
    Cause(
        "gpu-shared",
        "machine",
        r"out of memory\b.*\bProcess \d+ has [\d.]+ GiB memory in use",
        "wait until process {subject} has ended (`nvidia-smi` shows it): it holds memory of the same GPU; or use"
        " another GPU, or a smaller batch",
        subject=r"\bProcess (\d+) has [\d.]+ GiB memory in use",
    ),
    Cause(
        "gpu-memory",
        "configuration",  # the job can use less
        r"CUDA out of memory|(CUDA|HIP|MPS|XPU) .*out of memory|torch(\.\w+)*\.OutOfMemoryError"
        r"|\b(CUBLAS|CUDNN|CUSOLVER)_STATUS_ALLOC_FAILED",
        "use a smaller batch, or a GPU with more memory than {subject} has; `nvidia-smi` shows what else holds it",
        "this one",
        r"\b(GPU \d+) has a total capacity of",
    ),
    Cause(
        "shared-memory",
        "machine",
        r"insufficient shared memory|unable to (open|allocate) shared memory|out of shared memory"
        r"|killed by signal: Bus error",
        "give the container more shared memory (/dev/shm), or load data with fewer processes",
    ),
    Cause(
        "disk-full",
        "disk_full",
        r"No space left on device|Disk quota exceeded|disk is full|ENOSPC",
        "free space where {subject} lies, or ask for a larger disk",
        "its folder",
        rf"(?:No space left on device|Disk quota exceeded): {_FILE}",
    ),
    Cause(
        "allocation-size",
        "configuration",  # no other try has so much
        r"(?:[Uu]nable to allocate|tried to allocate) (?:\d{2,}[\d.]* GiB|[\d.]+ [TPE]iB|\d{11,} bytes)",
        "use less data at once: the program asked for {subject} in one piece",
        "that much",
        r"(?:[Uu]nable|tried) to allocate (\d+(?:\.\d+)?)\.? (\w+)",
    ),
    Cause(
        "host-memory",
        "out_of_memory",
        r"^MemoryError\b|Cannot allocate memory|can't allocate memory|\b_ArrayMemoryError\b|\bstd::bad_alloc\b",
        "give the job more memory, or load data with fewer processes and a smaller batch",
    ),
    Cause(
        "gpu-architecture",
        "machine",
        r"no kernel image is available|is not compatible with the current PyTorch installation"
        r"|no kernel image is available for execution|cudaErrorNoKernelImageForDevice|invalid device function",
        "use another GPU, or a PyTorch that was built for {subject}",
        "this one",
        r"([\w. -]+?) with CUDA capability (sm_\d+) is not compatible",
    ),
    Cause(
        "gpu-driver",
        "machine",
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|cudaErrorInsufficientDriver"
        r"|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|[Dd]river/library version mismatch|forward compatibility was attempted"
        r"|unsupported toolchain|provided PTX was compiled with an unsupported",
        "use a machine with a newer NVIDIA driver than {subject}, or a PyTorch built for an older CUDA",
        "this one",
        r"\b(?:found )?(version \d+)\)",
    ),
    Cause(
        "gpu-missing",
        "machine",
        r"Found no NVIDIA driver|No CUDA GPUs are available|no CUDA-capable device|Torch not compiled with CUDA enabled"
        r"|CUDA(?: driver)? initialization(?::| error)|busy or unavailable",
        "use a machine that gives the job a GPU and its driver (`nvidia-smi` shows both there), and a PyTorch for CUDA;"
        " or let the program use the CPU",
    ),
    Cause(
        "gpu-count",
        "machine",
        r"invalid device ordinal",
        "use as many GPUs as the machine gives the job (`nvidia-smi` shows them there), or ask for more",
    ),
    Cause(
        "gpu-broken",
        "machine",
        r"uncorrectable (?:ECC|NVLink) error|GPU has fallen off the bus|GPU is lost|CUDA error: (?:unknown error|"
        r"hardware stack error)|cudaErrorECCUncorrectable|\bXid\b.*\b(?:48|63|64|74|79|94|95)\b",
        "run it on another machine, and report this one: its GPU is broken",
    ),
    Cause(
        "gpu-assert",
        "code",
        r"device-side assert triggered|an illegal memory access was encountered",
        "run it once with the variable CUDA_LAUNCH_BLOCKING=1: then the traceback names the line that is wrong",
    ),
    Cause(
        "graphics",
        "machine",
        r"gpu\.foundation\.plugin\].*No device could be created|VkResult|vkCreate(Instance|Device) failed|VK_ERROR_\w+"
        r"|ERROR_INCOMPATIBLE_DRIVER|(initialize|create|get) (an? )?(EGL|OpenGL)|gladLoadGL|eglQuery\w+"
        r"|EGL_NOT_INITIALIZED|EGLError|lib(EGL|GL|OSMesa|vulkan)\S*\.so\S*: cannot open|GLFW(Error| error)",
        "let the container draw (NVIDIA_DRIVER_CAPABILITIES=all and an image with EGL and Vulkan); MuJoCo also draws"
        " without a GPU (MUJOCO_GL=osmesa)",
    ),
    Cause(
        "gpu-call",
        "",  # of the code, if it spoiled memory of the GPU before; of the machine, if libraries or the GPU do not fit
        r"\b(?:CUDNN|CUBLAS|CUSOLVER|CUSPARSE)_STATUS_"
        r"(?:EXECUTION_FAILED\w*|INTERNAL_ERROR\w*|MAPPING_ERROR|INVALID_VALUE|BAD_PARAM\w*)"
        r"|\bCUFFT_(?:EXEC_FAILED|INTERNAL_ERROR|INVALID_VALUE)",
        "run it once with the variable CUDA_LAUNCH_BLOCKING=1: an index out of range before {subject} shows so; if the"
        " same line fails again, leave out LD_LIBRARY_PATH and use the libraries that PyTorch brings",
        "the call",
        r"\b((?:CUDNN|CUBLAS|CUSOLVER|CUSPARSE)_STATUS_\w+|CUFFT_[A-Z_]+)",
    ),
    Cause(
        "gpu-library",
        "machine",
        r"\b(?:CUDNN|CUBLAS|CUSOLVER|CUSPARSE)_STATUS_\w+|\bCUFFT_[A-Z]+|\bcuDNN (?:error|version incompatibility)"
        r"|Could not load library libcu\w+\S*\.so",
        "for {subject}, see with `nvidia-smi` that the GPU has memory left, and use the libraries that PyTorch brings:"
        " without LD_LIBRARY_PATH, and without another version among the job's packages",
        "this library",
        r"\b((?:CUDNN|CUBLAS|CUSOLVER|CUSPARSE)_STATUS_\w+|CUFFT_[A-Z_]+)",
    ),
    Cause(
        "rank-wait",
        "",  # of the code, if the processes do not do the same; of the network or one machine, if they do
        r"Watchdog caught collective operation timeout|Timed out waiting \d+ms for (?:recv|send) operation"
        r"|wait timeout after \d+ms|socket timed out|Timed out after \d+ seconds waiting for clients",
        "see in the log what each process did last: one did not take part in {subject}, because it ended, waited for"
        " data, evaluated for long, or took another branch",
        "what the others waited for",
        r"\bOpType=(\w+).*? ran for \d+ milliseconds",
    ),
    Cause(
        "rank-lost",
        "network",
        r"(?i)\bconnection closed by peer|ncclRemoteError|Connection was likely closed",
        "see the log of the other processes: one of them ended first",
    ),
    Cause(
        "nccl",
        "machine",
        r"\bNCCL error in\b|\bnccl(System|UnhandledCuda|Internal|InvalidUsage)Error\b|NCCL WARN .*(error|fail)",
        "see why ({subject}) with the variable NCCL_DEBUG=INFO; NCCL_SOCKET_IFNAME chooses the network",
        "NCCL does not say",
        r"NCCL error in: [^,]+, ([\w ]+?)(?: \(run with[^)]*\))?(?:,|$)",
    ),
    Cause(
        "hub-gated",
        "access",
        r"\bGatedRepoError\b|Cannot access gated repo|trying to access a gated repo|is restricted.*must have access",
        "request access on the page of {subject} at the Hub, then " + _TOKEN,
        "the repository",
        rf"{_REPOSITORY}|Access to (?:model|dataset) (\S+) is restricted",
    ),
    Cause(
        "hub-private",
        "access",
        r"\bRepositoryNotFoundError\b|trying to access a private or gated repo|is not a valid model identifier listed"
        r"|Cannot access content at: https?://",
        "check the name of {subject}; if it is private, " + _TOKEN,
        "the repository",
        rf"{_REPOSITORY}|^OSError: ([\w.-]+/[\w.-]+) is not a local folder",
    ),
    Cause(
        "login-missing",
        "access",
        r"api_key not configured|wandb: ERROR .*(login|API key)|\bLocalTokenNotFoundError\b|Invalid user token"
        r"|InvalidLogin|\b(ExpiredToken|InvalidAccessKeyId|NoCredentialsError|CredentialUnavailableError)\b"
        r"|\b(ClientAuthenticationError|AuthenticationFailed)\b",
        "give the job a login that the service accepts",
    ),
    Cause(
        "role-missing",
        "access",
        r"AuthorizationPermissionMismatch",
        "give the job's identity a role for the data of {subject}: Storage Blob Data Reader, or Contributor to write",
        "the storage account",
        r"\b([a-z0-9]{3,24})\.blob\.core\.|storage account ([a-z0-9]{3,24})\b",
    ),
    Cause(
        "rate-limit",
        "network",
        r"\b429 Client Error|Too Many Requests|\bHTTP (?:Error )?429\b|status(_code| code)?\W{1,3}429\b"
        r"|(?i:rate limit (?:exceeded|reached))",
        "wait some minutes, and start fewer jobs at once: {subject} limits requests (the Hub allows more with a token,"
        " HF_TOKEN)",
        "the service",
        r"for url: https?://([^/\s?'\"]+)",
        is_common=True,
    ),
    Cause(
        "access-denied",
        "access",
        r"\b40[13] Client Error|\bHTTP (Error )?40[13]\b|AuthorizationFailure\b"
        r"|\bAccessDenied\b|status(_code| code)?\W{1,3}40[13]\b",
        "let the job's account read {subject}",
        "it",
        r"for url: (https?://[^\s?'\"]+)",
    ),
    Cause(
        "file-denied",
        "access",
        r"\[Errno (13|1|30)\]|^PermissionError\b|: Permission denied$|Read-only file system",
        "let the job's user read and write {subject}, or use another folder",
        "that file",
        rf"\[Errno (?:13|1|30)\] [^:]+: {_FILE}|([^\s:]+): (?:Permission denied|Read-only file system)$",
    ),
    Cause(
        "video-library",
        "machine",
        r"Could not load libtorchcodec|No module named 'torchcodec'|libav\w+\.so\S*: cannot open"
        r"|\bffmpeg: (command )?not found|No such file or directory: '(\S*/)?(ffmpeg|ffprobe)'",
        "install FFmpeg (versions 4 to 8) and torchcodec in its image, or decode with PyAV (`pyav`)",
    ),
    Cause(
        "other-model",
        "configuration",
        r"Error\(s\) in loading state_dict|\bsize mismatch for \S+: copying a param",
        "use the options and the features of the data that the checkpoint was trained with, or another checkpoint:"
        " {subject} differs",
        "its model",
        r"(?:size mismatch for |key\(s\) in state_dict: \")([\w.]+)",
    ),
    Cause(
        "stored-quantiles",
        "data",
        r"\bthe dataset cannot be used: the quantiles in ",
        "train with `--statistics computed`: the stored ones are not those of the frames",
    ),
    Cause(
        "dataset",
        "data",
        r"\bthe dataset cannot be used: |\b(FrameTimestamp|DatasetGeneration|UnidentifiedImage|InvalidData)Error\b"
        r"|\bArrowInvalid: .*[Pp]arquet|^IndexError: Episode index \d+ out of range|moov atom not found"
        r"|image file is truncated",
        "leave its episodes out; `robotrain data check {subject}` looks for more",
        "DATASET",
    ),
    Cause(
        "library-missing",
        "machine",
        r"\.so\S*: cannot open shared object file|version `(GLIBC|GLIBCXX|CXXABI)_\S+' not found",
        "install the library {subject} in its image, or use an image that has it",
        "that it names",
        r"(\S+\.so\S*): cannot open shared object|version `(\S+)' not found",
    ),
    Cause(
        "program-missing",
        "machine",
        r"^\S*sh: (?:line )?(?:\d+: )?\S+: (?:command )?not found$",
        "install {subject} in its image, use an image that has it, or correct its name",
        "the program",
        r"(\S+): (?:command )?not found$",
    ),
    Cause(
        "module-missing",
        "code",
        r"^ModuleNotFoundError: No module named ",
        "add the package of {subject} to those of the job, use an image that has it, or correct the import",
        "the module",
        r"No module named '([^']+)'",
    ),
    Cause(
        "other-build",
        "code",
        r"numpy\.\w+ size changed|numpy\.\S*multiarray failed to import|compiled (?:using|against) (?:NumPy|ABI|API)"
        r"|\bNumpy is not available|removed in the NumPy 2|binary incompatib|: undefined symbol: |DLL load failed",
        "choose versions that fit together: {subject} was built for another version of a package that it uses; if that"
        " is NumPy, `numpy<2` or a newer package helps",
        "one of the packages",
        r"(\S+\.so\S*): undefined symbol",
    ),
    Cause(
        "file-missing",
        "configuration",
        r"\[Errno (?:2|20)\]|^FileNotFoundError\b|: No such file or directory$|Directory nonexistent$",
        "check {subject}: the job needs a path that is there where it runs, among its sources or its code",
        "the path",
        rf"\[Errno (?:2|20)\] [^:]+: {_FILE}|can't open file '([^']+)'|([^\s:]+): (?:No such file or d|D)irectory"
        r"(?: nonexistent)?$",
        is_common=True,
    ),
    Cause(
        "port-taken",
        "machine",
        r"\[Errno (?:98|48)\]|\bEADDRINUSE\b|[Aa]ddress already in use",
        "use another port than {subject}, or end what listens there (`ss -ltnp` shows it)",
        "this one",
        r"\bport:? (\d+)|\('[\w.:]*', (\d+)\)|:(\d+): .*already in use",
        is_common=True,
    ),
    Cause(
        "system-limit",
        "machine",
        r"Too many open files|can't start new thread|Resource temporarily unavailable|inotify (watch|instance)",
        "raise the limits of its machine (`ulimit -n`, `ulimit -u`), or load data with fewer processes",
    ),
    Cause("unknown-host", "configuration", UNKNOWN_HOST, "check the host's name, and that its machine may reach it"),
    Cause(
        "certificate",
        "machine",
        UNTRUSTED,
        "set SSL_CERT_FILE and REQUESTS_CA_BUNDLE where the job runs, to a file with the certificates of that network,"
        " or correct the machine's clock",
    ),
    *(
        Cause("network", "network", pattern, is_common=True)
        for pattern in (
            r"^[\w.]*(Connection|Connect|Protocol|Proxy)\w*Error\b",
            r"^[\w.]*((Read|Connect|Write|Pool)Timeout(Error)?|Timeout(Error)?)\b",
            r"^[\w.]*(gaierror|NameResolutionError|MaxRetryError|IncompleteRead|RemoteDisconnected)\b",
            r"^[\w.]*(ServiceRequest|ServiceResponse|IncompleteRead|RemoteProtocol)Error\b",
            r"Temporary failure in name resolution|Network is unreachable",
            r"(?i)\bconnection (refused|reset|aborted)|\b(connection|operation|request|urlopen error) timed out",
            r"\bHTTP\b.{0,24}\b5\d\d\b|\b5\d\d (Server Error|Internal Server|Bad Gateway|Service Unavail|Gateway Time)",
            r"\bstatus(_code| code)?\W{1,3}5\d\d\b|too many 50\d error responses",
        )
    ),
    Cause(
        "assertion",
        "code",
        r"^AssertionError\b|\bAssertion [`'\"].* failed",
        "print the values of the condition at {subject}: the program says that they must not be so",
        "the end of its traceback",
        r"File (\"[^\"]+\", line \d+)|([^\s:]+:\d+): .*Assertion [`'\"]",
    ),
)
"""Specific rows first: a gated repository answers with HTTP 401, and a missing EGL is a missing library."""
HOST_MEMORY = next(cause for cause in CAUSES if cause.name == "host-memory")
KILLED = Cause(
    "killed",
    "",
    "",
    "look up who killed {subject}: the system's log (`dmesg`) on its machine names what it killed",
    "it",
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
    "see what {subject} calls: a library crashed there, often one that was built for another version; the variable"
    " PYTHONFAULTHANDLER=1 lets Python print the line",
    "the program",
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
    subject = " ".join(filter(None, (part and part.strip() for part in matches[-1].groups()))) if matches else ""
    return FoundCause(cause.name, cause.fault, subject, cause.remedy.format(subject=subject or cause.kind))
