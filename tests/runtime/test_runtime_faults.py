"""Whose fault it is that a run ended, and the exit code that says whether it is worth another try."""

import signal
from pathlib import Path

import pytest
from robotrain_runtime.contract import failure
from robotrain_runtime.contract.event import Outcome

TRACEBACK = "Traceback (most recent call last):"
ELASTIC = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "


@pytest.mark.parametrize(
    ("raised", "fault"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "configuration"),
        ("RuntimeError: CUDA error: out of memory", "configuration"),
        ("RuntimeError: DataLoader worker: insufficient shared memory (shm)", "configuration"),
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
        ("requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: h", "code"),
        ("KeyError: 'observation.state'", "code"),
        ("ValueError: 503 is no valid number of steps", "code"),
    ],
)
def test_a_traceback_tells_whose_fault_it_was(raised, fault):
    lines = [TRACEBACK, '  File "train.py", line 3, in f', raised, ""]
    assert failure.classify_exit(1, failure.explain_exit(1, lines), lines, out_of_memory=False) == fault


@pytest.mark.parametrize(
    ("code", "lines", "out_of_memory", "fault"),
    [
        (-signal.SIGKILL, [], True, "out_of_memory"),
        (-signal.SIGKILL, [], False, ""),
        (1, ["RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed."], True, "out_of_memory"),
        (1, ["  exitcode  : -9 (pid: 7)"], True, "out_of_memory"),
        (1, ["the loss is nan"], True, ""),
        (-signal.SIGSEGV, [], False, "code"),
        (-signal.SIGTERM, [], False, "stopped"),
        (2, ["usage: train [-h]", "train: error: unrecognized arguments: --x"], False, "configuration"),
        (3, ["it did not work"], False, ""),
    ],
)
def test_an_exit_status_tells_whose_fault_it_was(code, lines, out_of_memory, fault):
    assert failure.classify_exit(code, failure.explain_exit(code, lines), lines, out_of_memory) == fault


@pytest.mark.parametrize(
    ("code", "lines", "reason"),
    [
        (-signal.SIGKILL, ["step 3 loss 0.1"], "SIGKILL"),
        (128 + signal.SIGKILL, ["val error 0.3", "step 3 loss 0.1"], "SIGKILL"),
        (128 + signal.SIGSEGV, ["step 3 loss 0.1"], "SIGSEGV"),
        (128 + signal.SIGSEGV, ["Fatal Python error: Segmentation fault", "step"], "Fatal Python error"),
        (128 + signal.SIGINT, ["interrupted"], "interrupted"),
        (255, ["the disk is full"], "the disk is full"),
    ],
)
def test_program_that_a_signal_ended_is_not_explained_by_its_last_line(code, lines, reason):
    assert reason in failure.explain_exit(code, lines)


def test_of_several_processes_the_one_that_failed_is_heard_not_their_launcher():
    lines = [f"[rank1]: {TRACEBACK}", "[rank1]: torch.OutOfMemoryError: CUDA out of memory.", TRACEBACK, ELASTIC]
    why = failure.explain_exit(1, lines)
    assert why == "torch.OutOfMemoryError: CUDA out of memory."
    assert failure.classify_exit(1, why, lines, out_of_memory=False) == "configuration"
    assert failure.explain_output([TRACEBACK, ELASTIC.strip(), ""]) == ELASTIC.strip()


@pytest.mark.parametrize(
    ("several", "one"),
    [
        (["network", "network"], "network"),
        (["network", "configuration"], "configuration"),
        (["data", "network"], "data"),
        ([], ""),
    ],
)
def test_several_faults_are_worth_another_try_when_each_is(several, one):
    assert failure.combine_faults(several) == one


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
