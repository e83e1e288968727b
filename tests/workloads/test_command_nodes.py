"""A program of the user's own on several nodes: what each gets, what of them counts, and how the run ends."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import textwrap
import time

import job_documents
import pytest
from problem_assertions import check_problems
from robotrain_runtime.contract import checkpoint, event, failure
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Checkpoint, Metrics
from robotrain_runtime.machine import hardware
from robotrain_runtime.process.stop import STOPPED_STATUS
from robotrain_workloads.command import container, program_spec, program_start
from robotrain_workloads.command.workload import COMMAND
from robotrain_workloads.nodes import node_group
from robotrain_workloads.nodes.node_group import NODES_VARIABLE, JobNodes
from two_nodes import NODE_LAUNCHER

FIELDS = ("{num_nodes}", "{node_rank}", "{master_addr}", "{master_port}")
VARIABLES = ("ROBOTRAIN_NUM_NODES", "ROBOTRAIN_NODE_RANK", "ROBOTRAIN_MASTER_ADDR", "ROBOTRAIN_MASTER_PORT")
LONGEST_SECONDS = 60


@pytest.fixture
def make_document(tmp_path):
    def make(*words: str, placement=None, **values) -> JobDocument:
        return job_documents.command(tmp_path, *words, placement=placement, **{"num_nodes": 2, **values})

    return make


@pytest.fixture
def start(make_document, tmp_path):
    """Start the work of a job on two nodes, as the runtime starts it: `start(program, "{node_rank}", …)`."""
    started = []

    def start(program: str, *words: str, executable: str = sys.executable, **values) -> "subprocess.Popen[str]":
        (tmp_path / "program.py").write_text(textwrap.dedent(program))
        launcher = {"node_launcher": NODE_LAUNCHER}
        document = make_document(executable, f"{tmp_path}/program.py", *words, placement=launcher, **values)
        command = container.work(document, {}, tmp_path)
        started.append(
            subprocess.Popen(
                [sys.executable, *command.arguments],
                env={**os.environ, "ROBOTRAIN_GRACE_SECONDS": "10", **command.environ},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_end(process: "subprocess.Popen[str]") -> tuple[int, list[str], list]:
    """The exit code, the lines of the log that are no events, and the events."""
    lines = process.communicate(timeout=LONGEST_SECONDS)[0].splitlines()
    records = [event.parse_event(line) for line in lines]
    plain = [line for line, record in zip(lines, records, strict=True) if record is None]
    return process.returncode, plain, [record.event for record in records if record]


@pytest.mark.slow
def test_each_node_knows_itself_and_where_all_meet(start):
    program = f"""
        import json, os, sys
        os.write(1, (json.dumps([sys.argv[1:], [os.environ[name] for name in {VARIABLES}]]) + chr(10)).encode())
    """
    code, lines, _ = read_end(start(program, *FIELDS, "{{node_rank}}"))
    assert code == 0
    first = next(json.loads(line) for line in lines if line.startswith('[["2"'))
    other = next(json.loads(line.partition("] ")[2]) for line in lines if line.startswith("[node 1] "))
    assert (first[0][:2], other[0][:2]) == (["2", "0"], ["2", "1"])
    assert first[0][2:4] == other[0][2:4], "they meet at one place"
    for words, environ in (first, other):
        assert environ == words[:4]
        assert words[4] == "{node_rank}"


@pytest.mark.slow
def test_lead_alone_counts(start):
    program = """
        import os, sys
        from robotrain_runtime import report
        rank, outputs = int(sys.argv[1]), sys.argv[2]
        print(f"loss={rank + 0.5}", end="" if rank else "\\n", flush=True)
        report.metrics(7, reward=rank)
        if rank == 0:
            os.makedirs(f"{outputs}/checkpoints/7")
            open(f"{outputs}/checkpoints/7/model", "w").write("x")
    """
    words = ("{node_rank}", "{outputs}")
    process = start(program, *words, metrics='{"loss": "loss=(.*)"}', checkpoints="checkpoints/{step}")
    code, lines, events = read_end(process)
    assert code == 0
    assert {"loss=0.5", "[node 1] loss=1.5"} <= {*lines}
    values = [event.values for event in events if isinstance(event, Metrics)]
    assert [row["loss"] for row in values if "loss" in row] == [0.5]
    assert [row["reward"] for row in values if "reward" in row] == [0]
    assert [event.step for event in events if isinstance(event, Checkpoint)] == [7]


@pytest.mark.slow
def test_node_that_fails_ends_all(start):
    program = """
        import sys, time
        if sys.argv[1] == "1":
            raise ValueError("the reason")
        time.sleep(60)
    """
    began = time.monotonic()
    code, lines, _ = read_end(start(program, "{node_rank}"))
    assert code == 1
    assert "[node 1] ValueError: the reason" in lines
    assert re.fullmatch(r"error: node 1 of 2 \([^)]+\): ValueError: the reason", lines[-1])
    assert failure.explain_exit(code, lines) == lines[-1].removeprefix("error: ")
    assert time.monotonic() - began < 40


@pytest.mark.slow
def test_signal_that_ended_a_node_is_named(start):
    program = "import os, sys, time\nif sys.argv[1] == '1': os.kill(os.getpid(), 9)\ntime.sleep(60)"
    code, lines, _ = read_end(start(program, "{node_rank}"))
    assert code == 137
    assert re.match(r"error: node 1 of 2 \(.+\): the program was ended by signal 9", lines[-1])
    assert "memory" not in lines[-1]


@pytest.mark.slow
def test_program_that_is_missing_is_named_once(start):
    code, lines, _ = read_end(start("", "{node_rank}", executable="no-such-program"))
    assert code == 127
    assert sum("no-such-program" in line for line in lines) == 1


@pytest.mark.slow
def test_lines_of_nodes_are_never_mixed(start):
    program = """
        import sys, time
        for number in range(20):
            sys.stdout.write(f"loss={number}")
            time.sleep(0.01)
            sys.stdout.write("\\n")
    """
    code, lines, _ = read_end(start(program, "{node_rank}"))
    assert code == 0
    expected = [f"loss={number}" for number in range(20)]
    assert [line for line in lines if line.startswith("loss=")] == expected
    assert [line for line in lines if line.startswith("[node 1] ")] == [f"[node 1] {line}" for line in expected]


@pytest.mark.slow
def test_stop_reaches_the_programs_as_sigterm_alone_and_waits_until_the_lead_has_saved(start):
    program = """
        import os, signal, sys, time
        rank, outputs = sys.argv[1:]
        def save(number, frame):
            time.sleep(2 * (rank == "0"))
            if rank == "0":
                os.makedirs(f"{outputs}/checkpoints/3")
                open(f"{outputs}/checkpoints/3/model", "w").write("x")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("ready", flush=True)
        time.sleep(60)
    """
    process = start(program, "{node_rank}", "{outputs}", checkpoints="checkpoints/{step}")
    ready = 0
    while ready < 2:
        ready += "ready" in process.stdout.readline()
    process.terminate()
    code, lines, events = read_end(process)
    assert code == STOPPED_STATUS, lines
    assert [event.step for event in events if isinstance(event, Checkpoint)] == [3]


@pytest.mark.slow
def test_run_goes_on_from_its_last_checkpoint(start, tmp_path):
    program = """
        import os, sys, time
        rank, outputs, found = sys.argv[1], sys.argv[2], sys.argv[3:]
        print("from", found[-1].split("/")[-1] if found else "the beginning", flush=True)
        step = 10 if found else 5
        if rank == "0":
            os.makedirs(f"{outputs}/checkpoints/{step}")
            open(f"{outputs}/checkpoints/{step}/model", "w").write("x")
        elif not found:
            while not os.path.exists(f"{outputs}/checkpoints/5/model"):
                pass
            os._exit(1)
        time.sleep(0 if found else 60)
    """
    values = {"checkpoints": "checkpoints/{step}", "checkpoint_complete": "marker:model", "resume_args": '["{resume}"]'}
    words = ("{node_rank}", "{outputs}")
    assert read_end(start(program, *words, **values))[0] == 1
    checkpoint.seal_checkpoint(tmp_path / "outputs/checkpoints/000005", step=5, run="command-00000000-1", job="0" * 64)
    code, lines, events = read_end(start(program, *words, **values))
    assert code == 0, lines
    assert {"from 000005", "[node 1] from 000005"} <= {*lines}
    assert [event.step for event in events if isinstance(event, Checkpoint)] == [10]


def test_torchrun_is_started_on_each_node_with_threads_for_its_processes(make_document, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(hardware, "count_cores", lambda: 16)
    document = make_document("python", "train.py", "{node_rank}", launcher="torchrun", num_gpus=4)
    command = container.work(document, {}, tmp_path)
    spec = program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])
    group = JobNodes(count=2, address="n1", port=4000, id="a", rank=1)
    words = program_start.make_node_arguments(spec, group)
    assert words[:3] == ("python", "-m", "torch.distributed.run")
    assert {"--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-addr=n1", "--master-port=4000"} <= {*words}
    assert words[-2:] == ("train.py", "1")
    assert program_start.add_node_variables({}, spec, group)["OMP_NUM_THREADS"] == "4"
    assert program_start.add_node_variables({"OMP_NUM_THREADS": "2"}, spec, group)["OMP_NUM_THREADS"] == "2"


AGENT = """
import os, subprocess, sys, time
print("an agent that looks at its machine first", subprocess.check_output(["echo"]), flush=True)
time.sleep(1.5)
rank = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, "TORCHELASTIC_RUN_ID": "a"})
if rank.wait() or len(sys.argv) > 2:
    print("E1125 torch/api.py:984] failed (exitcode: 3) local_rank: 0 (pid: 7) of binary: python", flush=True)
    print("a traceback of another process\\n" * 300, flush=True)
print("waiting for other agents", flush=True)
time.sleep(60)
"""
RANK = """
import ctypes, pathlib, time
time.sleep(1.5)
fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
start, end = int(fields[47]), int(fields[48])
ctypes.memset(start, 0, end - start)  # as a program does that sets its title
time.sleep(3)
print("a rank that is done", flush=True)
"""


FOLLOWS = """
import sys
from robotrain_runtime.process.stop import ChildGroup
from robotrain_workloads.nodes.node_group import JobNodes
from robotrain_workloads.supervision import node_program, process_group
from robotrain_workloads.supervision.node_program import LauncherWatch
process_group.CLOSE_SECONDS = 1.0
group = JobNodes(count=2, address="n1", port=4000, id="a", rank=0, ends=sys.argv[1])
program = ChildGroup([sys.executable, "-c", *sys.argv[2:]], has_pipe=True)
sys.exit(node_program.follow_program(group, program, LauncherWatch(program.pid)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("words", "status"), [((), 0), (("fails",), 3)], ids=["succeeded", "failed"])
def test_launcher_that_outlives_its_processes_is_ended_as_they_ended(tmp_path, words, status):
    command = [sys.executable, "-c", FOLLOWS, tmp_path, AGENT, RANK, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == status, done.stderr
    assert "a rank that is done" in done.stdout
    assert "waiting for other agents" in done.stdout
    assert "torchrun is ended: it outlived its processes" in done.stdout
    assert [end.status for end in node_group.read_ends(tmp_path)] == [status]


def test_node_that_the_platform_started_has_the_rank_of_the_platform(make_document, tmp_path, monkeypatch):
    placement = {"node_rank": "NODE_RANK", "node_address": "${MASTER_ADDR}"}
    monkeypatch.setenv("NODE_RANK", "1")
    monkeypatch.setenv("MASTER_ADDR", "lead.lab")
    show = "import sys; print(sys.argv[1:])"
    command = container.work(make_document(sys.executable, "-c", show, *FIELDS, placement=placement), {}, tmp_path)
    done = subprocess.run(
        [sys.executable, *command.arguments],
        env={**os.environ, **command.environ},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "['2', '1', 'lead.lab', '29500']" in done.stdout
    assert "no files" not in done.stdout, "what another node leaves is not followed"


def test_value_is_never_read_for_the_placeholders_of_a_node(make_document, tmp_path):
    document = make_document("echo", "{lr}", "{node_rank}")
    document = dataclasses.replace(document, parameters={**document.parameters, "lr": "{node_rank} {outputs}"})
    command = container.work(document, {}, tmp_path)
    spec = program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])
    words = program_start.make_node_arguments(spec, JobNodes(count=2, address="n1", port=4000, id="a", rank=1))
    assert words == ("echo", "{node_rank} {outputs}", "1")


def test_one_node_has_the_same_fields(make_document, tmp_path):
    command = container.work(make_document("echo", *FIELDS, num_nodes=1), {}, tmp_path)
    spec = program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])
    assert spec.arguments[:4] == ("echo", "1", "0", "127.0.0.1")
    assert [spec.environ[name] for name in VARIABLES] == list(spec.arguments[1:])
    assert NODES_VARIABLE not in command.environ


def find_problems(*words: str, **values) -> list:
    problems = job_documents.check_job(COMMAND, args=words, **{"num_nodes": 2, **values})
    return [problem for problem in problems if problem.code == "nodes-unused"]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("torchrun", "--node-rank", "{node_rank}", "train.py"), {}),
        (("accelerate", "launch", "--main_process_ip={master_addr}", "train.py"), {}),
        (("python", "train.py"), {"launcher": "torchrun"}),
        (("python", "train.py"), {"num_nodes": 1}),
        (("torchrun --node-rank $ROBOTRAIN_NODE_RANK train.py",), {"shell": True}),
    ],
)
def test_command_that_knows_its_nodes_is_accepted(words, values):
    assert find_problems(*words, **values) == []


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("python", "train.py"), {}),
        (("torchrun", "--nnodes={num_nodes}", "train.py"), {}),
        (("torchrun", "{{node_rank}}"), {}),
        (("torchrun", "train.py"), {"num_gpus": 0}),
        (("torchrun train.py",), {"shell": True}),
    ],
)
def test_command_that_would_train_on_each_node_alone_is_refused(words, values):
    check_problems(find_problems(*words, **values), "nodes-unused")


def test_nodes_agree_on_ranks_without_a_platform_that_has_them(tmp_path, monkeypatch):
    def join(host: str) -> int | None:
        group = JobNodes(count=3, address="first", port=1, id="a", ends=str(tmp_path))
        monkeypatch.setattr(node_group.socket, "gethostname", lambda: host)
        return node_group.join_group({NODES_VARIABLE: group.to_json()}).rank

    assert [join("second"), join("third"), join("first")] == [1, 2, 0]
    with pytest.raises(OSError, match="none of the 3 nodes"):
        join("fourth")


@pytest.mark.slow
def test_stop_of_one_node_that_nobody_asked_for_ends_all(start):
    """A node's program may end with 0 after SIGTERM, and the others would wait for it for ever."""
    program = """
        import os, signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        time.sleep(1)  # the node listens to signals a moment after it has started its program
        if sys.argv[1] == "1":
            os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
    """
    code, lines, _ = read_end(start(program, "{node_rank}"))
    assert code == failure.EXIT_RETRY, lines
    assert lines[-1].startswith("error: node 1 of 2")
    assert "was stopped" in lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize("has_met", [True, False], ids=["after the rendezvous", "before it"])
def test_program_of_one_node_that_ends_with_0_ends_the_others_that_wait_for_it(start, has_met):
    program = """
        import os, pathlib, signal, sys, time
        rank, has_met = int(sys.argv[1]), sys.argv[2] == "True"
        met = pathlib.Path(sys.argv[0]).with_name("met")
        if rank == 1:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            if has_met:
                met.touch()
            os.kill(os.getpid(), signal.SIGTERM)
        while has_met and not met.exists():
            time.sleep(0.1)
        time.sleep(50)  # as a collective waits
    """
    code, lines, _ = read_end(start(program, "{node_rank}", str(has_met)))
    assert code == failure.EXIT_RETRY, lines
    assert lines[-1].startswith("error: node 1 of 2")
    assert lines[-1].endswith("ended with 0, and the others waited for it")
