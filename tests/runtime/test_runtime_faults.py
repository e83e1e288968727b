"""Whose fault it is that a run ended, and the exit code that says whether it is worth another try."""

import signal
from pathlib import Path

import pytest
from robotrain_runtime.contract import failure
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.contract.failure_causes import CAUSES

TRACEBACK = "Traceback (most recent call last):"
ELASTIC = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "


@pytest.mark.parametrize(
    ("raised", "fault"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "configuration"),
        ("RuntimeError: CUDA error: out of memory", "configuration"),
        ("RuntimeError: DataLoader worker: insufficient shared memory (shm)", "machine"),
        ("OSError: [Errno 28] No space left on device: '/work/x'", "disk_full"),
        ("MemoryError: Unable to allocate 8.00 GiB for an array", "out_of_memory"),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "network"),
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='h', port=443)", "network"),
        ("TimeoutError: The read operation timed out", "network"),
        ("requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='h', port=443): Read timed out.", "network"),
        ("urllib3.exceptions.MaxRetryError: HTTPSConnectionPool(host='h', port=443)", "network"),
        ("OSError: [Errno 101] Network is unreachable", "network"),
        ("requests.exceptions.RetryError: too many 503 error responses", "network"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "network"),
        ("socket.gaierror: [Errno -2] Name or service not known", "configuration"),
        ("requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: h", "network"),
        ("urllib.error.URLError: <urlopen error [Errno 111] Connection refused>", "network"),
        ("azure.core.exceptions.ServiceRequestError: Failed to resolve 'h'", "network"),
        ("requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: h", "access"),
        ("HttpResponseError: ErrorCode:AuthorizationPermissionMismatch", "access"),
        ("KeyError: 'observation.state'", "code"),
        ("ValueError: 503 is no valid number of steps", "code"),
    ],
)
def test_a_traceback_tells_whose_fault_it_was(raised, fault):
    lines = [TRACEBACK, '  File "train.py", line 3, in f', raised, ""]
    assert failure.diagnose_exit(1, lines, out_of_memory=False).fault == fault


@pytest.mark.parametrize(
    ("code", "lines", "out_of_memory", "fault"),
    [
        (-signal.SIGKILL, [], True, "out_of_memory"),
        (-signal.SIGKILL, [], False, ""),
        (1, ["RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed."], True, "out_of_memory"),
        (1, ["  exitcode  : -9 (pid: 7)"], True, "out_of_memory"),
        (1, ["the loss is nan"], True, ""),
        (-signal.SIGSEGV, [], False, "code"),
        (128 + signal.SIGSEGV, ["step 3"], False, "code"),
        (-signal.SIGTERM, [], False, "stopped"),
        (2, ["usage: train [-h]", "train: error: unrecognized arguments: --x"], False, "configuration"),
        (3, ["it did not work"], False, ""),
    ],
)
def test_an_exit_status_tells_whose_fault_it_was(code, lines, out_of_memory, fault):
    assert failure.diagnose_exit(code, lines, out_of_memory).fault == fault


@pytest.mark.parametrize(
    ("code", "lines", "reason"),
    [
        (-signal.SIGKILL, ["step 3 loss 0.1"], "SIGKILL"),
        (128 + signal.SIGKILL, ["val error 0.3", "step 3 loss 0.1"], "SIGKILL"),
        (128 + signal.SIGSEGV, ["step 3 loss 0.1"], "SIGSEGV"),
        (128 + signal.SIGSEGV, ["Fatal Python error: Segmentation fault", "step"], "Fatal Python error"),
        (128 + signal.SIGINT, ["interrupted"], "interrupted"),
        (255, ["the disk is full"], "the disk is full"),
        (128 + signal.SIGTERM, ["step 3 loss 0.1"], "SIGTERM"),
        (-signal.SIGABRT, ["free(): invalid pointer", "bye"], "SIGABRT): free(): invalid pointer"),
        (-signal.SIGABRT, ["terminate called", "  what():  it was full"], "it was full"),
        (1, [TRACEBACK, "RuntimeError: Error(s) in loading:", "\tsize mismatch for a"], "loading: size mismatch for a"),
        (1, [TRACEBACK, '  File "t.py", line 3, in f', "    assert x", "AssertionError"], '("t.py", line 3: assert x)'),
        (
            1,
            [TRACEBACK, "pydantic_core.ValidationError: 1 validation error for Config", "seed", "  no integer"],
            "for Config: seed: no integer",
        ),
    ],
)
def test_program_that_a_signal_ended_is_not_explained_by_its_last_line(code, lines, reason):
    assert reason in failure.explain_exit(code, lines)


def test_of_several_processes_the_one_that_failed_is_heard_not_their_launcher():
    lines = [f"[rank1]: {TRACEBACK}", "[rank1]: torch.OutOfMemoryError: CUDA out of memory.", TRACEBACK, ELASTIC]
    failed = failure.diagnose_exit(1, lines, out_of_memory=False)
    assert (failed.reason, failed.fault) == ("torch.OutOfMemoryError: CUDA out of memory.", "configuration")
    assert failure.explain_output([TRACEBACK, ELASTIC.strip(), ""]) == ELASTIC.strip()


HUB = "https://huggingface.co"
REPORTS = {
    "driver": (
        1,
        "{T}RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update",
        ("gpu-driver", "machine", "version 12020"),
    ),
    "no GPU": (1, "{T}RuntimeError: Found no NVIDIA driver on your system.", ("gpu-missing", "machine", "")),
    "shared memory, by the exception that caused the last one": (
        1,
        "{T}RuntimeError: DataLoader worker (pid 79) is killed by signal: Bus error. It is possible that dataloader's"
        " workers are out of shared memory.\n\nThe above exception was the direct cause of the following exception:\n\n"
        "{T}RuntimeError: DataLoader worker (pid(s) 79) exited unexpectedly",
        ("shared-memory", "machine", ""),
    ),
    "worker": (
        1,
        "{T}RuntimeError: DataLoader worker (pid 22358) is killed by signal: Killed.",
        ("killed", "", "DataLoader worker (pid 22358)"),
    ),
    "killed": (-9, "step 3", ("killed", "", "")),
    "disk": (1, "{T}OSError: [Errno 28] No space left on device: '/work/a'", ("disk-full", "disk_full", "/work/a")),
    "GPU memory": (
        1,
        "{T}torch.OutOfMemoryError: CUDA out of memory. GPU 0 has a total capacity of 23.64 GiB.",
        ("gpu-memory", "configuration", "GPU 0"),
    ),
    "memory of a library": (
        1,
        "{T}RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        ("gpu-memory", "configuration", ""),
    ),
    "gated": (
        1,
        f"Fetching {HUB}/a/b\n{{T}}huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: x)\n\n"
        f"Cannot access gated repo for url {HUB}/google/paligemma-3b-pt-224/resolve/main/config.json.\n"
        "Access to model google/paligemma-3b-pt-224 is restricted. You must have access to it.",
        ("access-denied", "access", ""),
    ),
    "private": (
        1,
        "{T}huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error. (Request ID: x)\n\n"
        f"Repository Not Found for url: {HUB}/api/datasets/o/n/revision/main.",
        ("access-denied", "access", "https://huggingface.co/api/datasets/o/n/revision/main."),
    ),
    "file": (1, "{T}PermissionError: [Errno 13] Permission denied: '/data/x'", ("file-denied", "access", "/data/x")),
    "file, by a shell": (1, "sh: 1: cannot create /data/x: Permission denied", ("file-denied", "access", "/data/x")),
    "program": (127, "start\nsh: 1: torchrun: not found", ("file-missing", "configuration", "torchrun")),
    "module": (1, "{T}ModuleNotFoundError: No module named 'mujoco'", ("module-missing", "code", "mujoco")),
    "login": (1, "{T}wandb.errors.UsageError: api_key not configured (no-tty)", ("access-denied", "access", "")),
    "data that LeRobot cannot read": (
        1,
        "error: the dataset cannot be used: episode 3, frame 10: the picture of a cannot be decoded",
        ("dataset", "data", ""),
    ),
    "missing file": (
        1,
        "{T}FileNotFoundError: [Errno 2] No such file or directory: '/data/x'",
        ("file-missing", "configuration", "/data/x"),
    ),
    "missing program": (
        2,
        "python: can't open file '/work/t.py': [Errno 2] No such file or directory",
        ("file-missing", "configuration", "/work/t.py"),
    ),
    "missing file that the program did without": (3, "cat: a: No such file or directory\nno", ("", "", "")),
    "port": (
        1,
        "{T}torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address."
        " port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
        ("port-taken", "machine", "29500"),
    ),
    "too many requests": (
        1,
        f"{{T}}huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: {HUB}/api/models/a",
        ("rate-limit", "network", "huggingface.co"),
    ),
    "crash": (-11, "step 3", ("crashed", "code", "")),
    "crash, as Python says": (
        139,
        'Fatal Python error: Segmentation fault\n\nThread 0x7 (most recent call first):\n  File "/work/t.py", line 10'
        " in f",
        ("crashed", "code", '"/work/t.py", line 10'),
    ),
    "crash of a process that torchrun started": (
        1,
        f"{{T}}{ELASTIC}\n====\n  exitcode  : -11 (pid: 7)\n  traceback : Signal 11 (SIGSEGV) received by PID 7\n====",
        ("crashed", "code", ""),
    ),
    "stopped by another": (-15, "step 3", ("stopped", "stopped", "")),
    "stopped, as a shell says": (143, "step 3", ("stopped", "stopped", "")),
    "stopped, as torchrun says": (
        1,
        "{T}torch.distributed.elastic.multiprocessing.api.SignalException: Process 12 got signal: 15",
        ("stopped", "stopped", ""),
    ),
    "assertion": (
        1,
        '{T}  File "/work/t.py", line 3, in f\nAssertionError',
        ("", "code", ""),
    ),
    "assertion of a library": (
        -6,
        "t: t.c:3: main: Assertion `n > 0' failed.",
        ("crashed", "code", ""),
    ),
    "memory that no machine has": (
        1,
        "{T}numpy._core._exceptions._ArrayMemoryError: Unable to allocate 128. GiB for an array with shape (1,)",
        ("allocation-size", "configuration", ""),
    ),
    "what was tried again": (3, "Connection refused, retrying\nit did not work", ("", "", "")),
    "an earlier exception that was handled": (
        1,
        "{T}OSError: [Errno 28] No space left on device\nit goes on elsewhere\n{T}KeyError: 'a'",
        ("", "code", ""),
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_cause_and_its_subject_are_found_in_the_last_lines_of_any_program(name):
    code, text, (cause, fault, subject) = REPORTS[name]
    failed = failure.diagnose_exit(code, text.replace("{T}", f"{TRACEBACK}\n  main()\n").splitlines(), False)
    assert (failed.cause.cause, failed.fault, failed.cause.subject) == (cause, fault, subject)
    assert "memory" not in failed.reason or "GPU" in failed.reason or "shared" in failed.reason


def test_each_known_cause_has_a_step_that_helps():
    assert [cause.name for cause in CAUSES if not cause.remedy and cause.name != "network"] == []


@pytest.mark.parametrize(
    ("several", "combined"),
    [
        (["network", "network"], "network"),
        (["network", "configuration"], "configuration"),
        (["data", "network"], "data"),
        ([], ""),
    ],
)
def test_several_faults_are_worth_another_try_when_each_is(several, combined):
    assert failure.combine_faults(several) == combined


@pytest.mark.parametrize(
    ("code", "fault", "told"),
    [
        (1, "network", 75),
        (4, "network", 75),
        (1, "code", 1),
        (4, "configuration", 4),
        (137, "out_of_memory", 137),
        (2, "configuration", 2),
    ],
)
def test_the_exit_code_alone_says_whether_to_try_again(code, fault, told):
    assert failure.choose_exit_code(code, fault) == told
    assert (told == failure.EXIT_RETRY) <= Outcome(state="failed", exit_code=told, fault=fault).worth_a_retry


def test_whoever_stops_a_run_may_say_why(tmp_path):
    assert failure.read_stop_reason(tmp_path) == "stopped"
    for result, fault in (("preempted\n", "preempted"), ("evicted", "evicted"), ("just so", "stopped")):
        (tmp_path / failure.STOP_REASON_FILE).write_text(result)
        assert failure.read_stop_reason(tmp_path) == fault


def write_kernel_file(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize(
    ("groups", "counter", "text"),
    [
        ("0::/pod/job\n", "sys/fs/cgroup/pod/job/memory.events", "low 0\noom 4\noom_kill 3\noom_group_kill 0\n"),
        ("0::/../outside\n", "sys/fs/cgroup/memory.events", "oom 4\noom_kill 3\n"),
        ("7:cpu,memory:/job\n", "sys/fs/cgroup/memory/job/memory.oom_control", "under_oom 0\noom_kill 3\n"),
        ("", "proc/vmstat", "pgfault 9\noom_kill 3\n"),
    ],
)
def test_what_the_kernel_killed_is_counted_where_it_counts(tmp_path, groups, counter, text):
    write_kernel_file(tmp_path, "proc/self/cgroup", groups)
    write_kernel_file(tmp_path, "proc/vmstat", "oom_kill 99\n")
    write_kernel_file(tmp_path, counter, text)
    assert failure.count_oom_kills(tmp_path) == 3


def test_a_machine_that_counts_nothing_has_killed_nothing(tmp_path):
    assert failure.count_oom_kills(tmp_path) == 0
