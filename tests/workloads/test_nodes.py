"""Work of several nodes: how they meet, how they are started, and how the run ends as they ended."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from job_documents import read_request
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_runtime.process.stop import STOPPED_STATUS
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_training.process_group import ProcessAgreement
from robotrain_workloads.nodes import node_launch
from robotrain_workloads.nodes.node_group import NODES_VARIABLE, JobNodes, NodeEnd, report_end
from robotrain_workloads.nodes.starter import choose_end
from robotrain_workloads.supervision import node_program

LAUNCHER = """
import signal, subprocess, sys
nodes = [subprocess.Popen(sys.argv[2:]) for _ in range(2)]
signal.signal(signal.SIGUSR1, lambda number, frame: [node.send_signal(number) for node in nodes])
codes = [node.wait() for node in nodes]
if sys.argv[1] == "lingers":
    signal.pause()
sys.exit(max(codes))
"""
"""In place of srun: it starts a program twice, passes SIGUSR1 on, and may not return."""
NODE = """
import os, signal, sys, time
from robotrain_workloads.nodes.node_group import read_group, report_end, report_start
group = read_group()
report_start(group.ends)
def end(status, text=""):
    report_end(group, status, text)
    sys.exit(status)
"""
"""The beginning of a node's program."""
LOST_PEER = "Traceback (most recent call last):\nRuntimeError: Connection closed by peer [n2]\n"


@pytest.fixture
def start(tmp_path):
    """Start a program on two nodes; return the process of the starter."""

    def start(program: str, ending: str = "returns", before: str = "") -> subprocess.Popen[str]:
        launcher = json.dumps([sys.executable, "-c", LAUNCHER, ending])
        own = ["--count=2", f"--launcher={launcher}", f"--ends={tmp_path}/ends"]
        code = f"import sys\nfrom robotrain_workloads.nodes import starter\n{before}\nstarter.main(sys.argv[1:])"
        words = [sys.executable, "-c", code, *own, "--", "-c", NODE + textwrap.dedent(program)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


def test_run_succeeds_when_all_nodes_do(start):
    process = start("os.write(1, b'hello %d\\n' % group.count); end(0)")
    lines = process.communicate(timeout=60)[0].splitlines()
    assert (process.returncode, lines.count("hello 2")) == (0, 2)


def test_run_ends_as_the_node_that_failed_first_and_prints_its_error_last(start, tmp_path):
    program = f"""
        import os, time
        try:
            os.mkdir({str(tmp_path / "first")!r})
        except FileExistsError:
            time.sleep(1)
            end(1, "connection closed by peer")
        end(3, "ValueError: the reason")
    """
    process = start(program)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 3
    assert lines[-1].startswith("error: node ")
    assert lines[-1].endswith(": ValueError: the reason")
    assert "connection closed by peer" not in lines


@pytest.mark.slow
def test_lost_node_of_an_earlier_attempt_reports_elsewhere(start):
    """It may come back while the next attempt runs, and then misses its peers."""
    folders = set()
    for _ in range(2):
        lines = start("print(group.ends, flush=True); end(0)").communicate(timeout=60)[0].splitlines()
        folders |= {line for line in lines if line.startswith("/")}
    assert len(folders) == 2


def test_stop_reaches_the_program_of_each_node(start):
    process = start("signal.signal(signal.SIGUSR1, lambda *_: end(143)); os.write(1, b'up\\n'); time.sleep(60)")
    lines = iter(process.stdout.readline, "")
    assert sum(1 for _ in itertools.islice((line for line in lines if line == "up\n"), 2)) == 2
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == STOPPED_STATUS


@pytest.mark.slow
@pytest.mark.parametrize("status", [0, 5])
def test_command_that_outlives_all_nodes_is_ended_and_the_run_ends_as_they_did(start, status):
    process = start(f"end({status}, 'the reason' * bool({status}))", "lingers", "starter.LINGER_SECONDS = 1.0")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert "the command that started the nodes is ended" in output


@pytest.mark.parametrize(
    ("ends", "code", "is_stopped", "expected"),
    [
        ([NodeEnd(0, "", 1), NodeEnd(0, "", 2)], 0, False, 0),
        ([NodeEnd(0, "", 1), NodeEnd(0, "", 2)], 137, False, 0),
        ([NodeEnd(STOPPED_STATUS, "", 1), NodeEnd(-9, "killed", 2)], 137, False, -9),
        ([NodeEnd(STOPPED_STATUS, "", 1)], 143, True, STOPPED_STATUS),
        ([NodeEnd(STOPPED_STATUS, "", 1), NodeEnd(STOPPED_STATUS, "", 2)], 143, False, EXIT_RETRY),
        ([NodeEnd(0, "", 1)], 0, False, EXIT_RETRY),
        ([NodeEnd(1, LOST_PEER, 1)], 1, False, EXIT_RETRY),
        ([NodeEnd(1, LOST_PEER, 1), NodeEnd(-9, "killed", 2)], 1, False, -9),
        ([NodeEnd(1, LOST_PEER, 1), NodeEnd(1, LOST_PEER, 2)], 1, False, 1),
        ([NodeEnd(3, "ValueError: no", 1)], 1, False, 3),
        ([NodeEnd(1, "", 1)], 1, False, EXIT_RETRY),  # a launcher that ends so when it is signalled
        ([NodeEnd(1, "", 1), NodeEnd(-9, "killed", 2)], 1, False, -9),  # also by clocks that differ
        ([NodeEnd(1, "", 1), NodeEnd(STOPPED_STATUS, "", 2)], 1, False, EXIT_RETRY),
        ([NodeEnd(1, "", 1), NodeEnd(STOPPED_STATUS, "", 2)], 1, True, 1),
        ([NodeEnd(0, "", 1), NodeEnd(STOPPED_STATUS, "", 2)], 143, False, EXIT_RETRY),
        ([NodeEnd(0, "", 1), NodeEnd(STOPPED_STATUS, "", 2)], 143, True, STOPPED_STATUS),
        ([], -9, False, 137),
        ([], 1, True, STOPPED_STATUS),
    ],
)
def test_status_of_the_run_is_that_of_its_nodes(ends, code, is_stopped, expected):
    assert choose_end(ends, ["n1", "n2"], code, 2, is_stopped)[0] == expected


def test_node_that_the_others_waited_for_is_named():
    ends = [NodeEnd(0, "", 1, "n2", 1), NodeEnd(STOPPED_STATUS, "", 2, "n1", 0)]
    assert "node 1 of 2 (n2) ended with 0" in choose_end(ends, ["n1", "n2"], 143, 2, False)[1]


def test_program_that_prints_or_writes_is_not_abandoned_program_by_a_node_that_ended(tmp_path, monkeypatch):
    now, lines, written = [0.0], [0], [0]
    monkeypatch.setattr(node_program.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(node_program, "_read_written_bytes", lambda pid: written[0])
    alone = node_program.AbandonedProgram(str(tmp_path), os.getpid(), lambda: lines[0])

    def wait() -> bool:
        now[0] += node_program.SILENT_SECONDS / 2
        return alone.is_given_up()

    assert not any(wait() for _ in range(9)), "all nodes work"
    report_end(JobNodes(count=2, address="", port=0, id="", rank=1, ends=str(tmp_path)), 0, "")
    for _ in range(9):
        lines[0] += 1
        assert not wait()
        written[0] += node_program.WORK_BYTES
        assert not wait()
    assert [wait() for _ in range(3)] == [False, False, True]


def test_lost_node_is_named_rather_than_the_one_that_missed_it():
    text = choose_end([NodeEnd(1, LOST_PEER, 1, "n1")], ["n1", "n2"], 1, 2, is_stopped=False)[1]
    assert text == (
        "error: 1 of 2 nodes ended without a report: n2 was lost or killed, and then the connection to it:"
        " RuntimeError: Connection closed by peer [n2]"
    )


def test_node_that_failed_without_a_word_has_no_line():
    assert choose_end([NodeEnd(-15, "", 1.0, "n1")], ["n1"], 1, 1, True) == (-15, "")


def test_node_that_failed_is_named():
    ends = [NodeEnd(1, LOST_PEER, 1, "n1"), NodeEnd(3, "ValueError: no", 2, "n2")]
    assert choose_end(ends, ["n1", "n2"], 1, 2, is_stopped=False) == (3, "error: node n2: ValueError: no")


@pytest.mark.parametrize(
    ("launcher", "reason"),
    [
        ((sys.executable, "-c", "raise SystemExit(1)"), "2 of 2 nodes did not start the program: each must"),
        (("no-such-srun",), "cannot run no-such-srun: No such file or directory"),
    ],
)
def test_nodes_that_cannot_start_the_program_are_told(launcher, reason, tmp_path):
    words = ["--count=2", f"--launcher={json.dumps(launcher)}", f"--ends={tmp_path}/ends", "--", "-c", "pass"]
    command = [sys.executable, "-m", node_launch.STARTER, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("starting")]
    assert reason in line


def test_torchrun_has_the_ranks_of_a_platform_or_agrees_on_them():
    group = JobNodes(count=2, address="n1", port=4000, id="a")
    assert {"--rdzv-backend=c10d", "--rdzv-endpoint=n1:4000", "--rdzv-id=a"} <= {*group.make_torchrun_options(8)}
    assert {"--nnodes=2", "--nproc-per-node=8", "--max-restarts=0"} <= {*group.make_torchrun_options(8)}
    ranked = dataclasses.replace(group, rank=1).make_torchrun_options(8)
    assert {"--node-rank=1", "--master-addr=n1", "--master-port=4000"} <= {*ranked}
    assert all("=7200" in options[-1] for options in (ranked, group.make_torchrun_options(8)))  # two hours


def test_job_of_two_nodes_is_started_by_the_platforms_command(training, tmp_path):
    document = training(num_nodes=2, num_gpus=4)
    placement = dataclasses.replace(document.placement, node_launcher=("srun", "--nodes=2"))
    words = container.work(dataclasses.replace(document, placement=placement), {}, tmp_path).arguments
    assert words[:2] == ("-m", node_launch.STARTER)
    assert {"--count=2", '--launcher=["srun", "--nodes=2"]'} <= {*words[: words.index("--")]}
    inner = words[words.index("--") + 1 :]
    assert inner[:3] == ("-m", container.MULTI_GPU_LAUNCHER, "--count=4")
    request = read_request(inner)
    assert (request.nodes, request.ranks, request.batch) == (2, 8, 32)


def test_job_that_the_platform_starts_on_each_node_has_the_rank_of_the_platform(training, tmp_path, monkeypatch):
    document = training(num_nodes=2)
    placement = dataclasses.replace(document.placement, node_rank="NODE_RANK", node_address="${MASTER_ADDR}")
    monkeypatch.setenv("NODE_RANK", "1")
    monkeypatch.setenv("MASTER_ADDR", "lead.lab")
    command = container.work(dataclasses.replace(document, placement=placement), {}, tmp_path)
    group = json.loads(command.environ[NODES_VARIABLE])
    assert (group["rank"], group["address"], group["count"]) == (1, "lead.lab", 2)
    assert command.arguments[:2] == ("-m", container.MULTI_GPU_LAUNCHER)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("lead.lab", ("lead.lab", 29_500)),
        ("lead.lab:6105", ("lead.lab", 6105)),
        ("${BOTH}", ("lead.lab", 6105)),
        ("fd00::1", ("fd00::1", 29_500)),
        ("[fd00::1]", ("fd00::1", 29_500)),
        ("[fd00::1]:6105", ("fd00::1", 6105)),
        ("${LONG}", ("fd00::1", 29_500)),
        ("${LONG}:${PORT}", ("fd00::1", 6105)),
        ("[${LONG}]:${PORT}", ("fd00::1", 6105)),
        ("${BRACKETS}:${PORT}", ("fd00::1", 6105)),
        ("${BRACKETS}", ("fd00::1", 29_500)),
    ],
)
def test_address_of_the_first_node_may_be_one_of_ipv6(address, expected, monkeypatch):
    for name, value in {"BOTH": "lead.lab:6105", "LONG": "fd00::1", "BRACKETS": "[fd00::1]", "PORT": "6105"}.items():
        monkeypatch.setenv(name, value)
    assert node_launch.read_address(address) == expected


def test_training_of_one_node_is_started_as_before(training, tmp_path):
    assert container.work(training(), {}, tmp_path).arguments[:2] == ("-m", container.LAUNCHER)


WATCHED = """
import os, subprocess, sys, tempfile, time
from pathlib import Path
from robotrain_workloads.lerobot_training.process_group import ProcessAgreement
from robotrain_workloads.lerobot_train import multi_gpu_launcher
multi_gpu_launcher.LINGER_SECONDS = 1.0
folder = Path(tempfile.mkdtemp())
rank = "import sys; from pathlib import Path; "
rank += "from robotrain_workloads.lerobot_training.process_group import ProcessAgreement;"
rank += f"a = ProcessAgreement(Path({str(folder)!r})); a.enter_rank(); {sys.argv[1]}"
multi_gpu_launcher.LaunchWatch(ProcessAgreement(folder), 2, None).start()
ranks = [subprocess.Popen([sys.executable, "-c", rank]) for _ in range(2)]
time.sleep(50)
sys.exit(9)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("end", "status"), [("a.leave_rank()", 0), ("a.report_failure('no memory'); sys.exit(4)", 1)])
def test_launcher_that_outlives_its_ranks_ends_as_they_did(end, status):
    done = subprocess.run([sys.executable, "-c", WATCHED, end], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert "outlived its 2 processes" in done.stdout
    assert ("no memory" in done.stdout) == bool(status)


RANK = """
import sys, time
from pathlib import Path
from robotrain_workloads.lerobot_training import process_group
process_group.NOTICE_SECONDS = 1.0
process_group.outlive_platform_signals(process_group.ProcessAgreement(Path(sys.argv[1])))
print("trains", flush=True)
time.sleep(60)
"""
RANK_LAUNCHER = """
import subprocess, sys
rank = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
print(rank.pid, flush=True)
if sys.stdin.readline():
    rank.terminate()
sys.exit(-rank.wait())
"""


@pytest.fixture
def rank(tmp_path):
    """A process that trains: its launcher, which ends it for a line of input, and its number."""
    command = [sys.executable, "-c", RANK_LAUNCHER, RANK, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
        number = int(launcher.stdout.readline())
        assert launcher.stdout.readline() == "trains\n"
        yield launcher, number
        launcher.kill()


@pytest.mark.slow
def test_signal_of_the_platform_to_all_processes_does_not_end_those_that_save_a_checkpoint(rank, tmp_path):
    launcher, number = rank
    ProcessAgreement(tmp_path).stop_requested.touch()
    os.kill(number, signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        launcher.wait(2)
    launcher.communicate("end\n", timeout=30)
    assert launcher.returncode == signal.SIGTERM


def test_signal_to_one_process_alone_ends_it(rank):
    launcher, number = rank
    os.kill(number, signal.SIGTERM)
    launcher.communicate("", timeout=30)
    assert launcher.returncode == signal.SIGTERM
