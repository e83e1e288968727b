"""Trainings with Isaac Lab on several nodes: what each is started with, what is refused, and the stand-in on two."""

import argparse
import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
from isaac_stand_in import policy
from job_documents import check_job
from problem_assertions import check_problems
from robotrain_runtime.contract.container_plugin import PROGRAM_PYTHON_VARIABLE
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.contract.event import Checkpoint, Metrics, Processes, parse_event
from robotrain_workloads.isaac_train import container, node_training, supervisor
from robotrain_workloads.isaac_train.image import launcher
from robotrain_workloads.isaac_train.parameters import IsaacTrainParameters
from robotrain_workloads.isaac_train.workload import ISAAC_TRAIN
from robotrain_workloads.nodes.node_group import NODES_VARIABLE, JobNodes
from two_nodes import NODE_LAUNCHER

ROOT = Path(__file__).parents[2]
ROLLOUTS = 16
"""Timesteps of an iteration."""
GROUP = JobNodes(count=2, address="n1", port=4000, id="a", rank=1)


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Path:
    """The shell of an installation of Isaac Lab."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "isaaclab.sh").write_text('echo "$@"\necho threads $OMP_NUM_THREADS\n')
    (folder / "VERSION").write_text("2.3.2")
    monkeypatch.setenv("ISAACLAB_PATH", str(folder))
    return folder


@pytest.fixture
def make_document(tmp_path):
    def make(placement=None, **values) -> JobDocument:
        settings = {"isaac_version": "2.3", "task": "Isaac-Cartpole-v0", "num_envs": 16, "max_iterations": 3, **values}
        return JobDocument(
            schema=1,
            run="r",
            job="0" * 64,
            workload="isaac-train",
            platform="here",
            container_plugins={"workload.isaac-train": container.__name__},
            parameters=dataclasses.asdict(IsaacTrainParameters(**settings)),
            placement=Placement(work=str(tmp_path / "run"), cache=str(tmp_path / "cache"), **(placement or {})),
        )

    return make


def list_words(document: JobDocument, work: Path, group: JobNodes | None) -> list[str]:
    """What is started on a node, from what the runtime starts."""
    arguments = container.work(document, {}, work).arguments
    assert arguments[:2] == ("-m", container.SUPERVISOR)
    own, script = supervisor.parse_arguments(arguments[2:])
    return list(supervisor.make_command(own, script, group))


def test_nodes_run_torchrun_with_all_their_ranks(make_document, lab, tmp_path):
    document = make_document({"node_launcher": NODE_LAUNCHER}, num_nodes=2, num_gpus=4)
    words = list_words(document, tmp_path, GROUP)
    assert words[:5] == ["bash", str(lab / "isaaclab.sh"), "-p", "-m", "torch.distributed.run"]
    expected = {"--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-addr=n1", "--master-port=4000"}
    assert {*expected, "--ranks=8", "--distributed"} <= {*words}
    assert container.tracked(document).params["num_nodes"] == 2


def test_each_process_of_isaac_lab_3_runs_its_entry_point(make_document, monkeypatch, tmp_path):
    monkeypatch.setenv(PROGRAM_PYTHON_VARIABLE, "/lab/bin/python")
    values = {
        "isaac_version": "3.0",
        "task": "Isaac-Cartpole-Direct",
        "backend": "rsl_rl",
        "num_nodes": 2,
        "num_gpus": 4,
    }
    words = list_words(make_document({"node_launcher": NODE_LAUNCHER}, **values), tmp_path, GROUP)
    assert words[:3] == ["/lab/bin/python", "-m", "torch.distributed.run"]
    started = words[words.index("--") + 1 :]
    assert started[:3] == ["train", "--rl_library", "rsl_rl"]
    assert {"--distributed", "--task", "Isaac-Cartpole-Direct"} <= {*started}
    assert "--headless" not in started
    assert "--ranks=8" in words


def test_tracking_shows_the_name_of_the_job_or_else_the_run(make_document):
    assert [container.tracked(make_document(job_name=name)).run_name for name in (None, "walk-v2")] == ["r", "walk-v2"]


def test_one_gpu_on_each_of_two_nodes_is_distributed_too(make_document, lab, tmp_path):
    words = list_words(make_document({"node_launcher": NODE_LAUNCHER}, num_nodes=2), tmp_path, GROUP)
    assert {"--nproc-per-node=1", "--ranks=2", "--distributed"} <= {*words}


def test_one_node_is_started_as_before(make_document, lab, tmp_path):
    words = list_words(make_document(), tmp_path, None)
    assert "torch.distributed.run" not in words
    assert {"--distributed", "--ranks=1"}.isdisjoint(words)
    assert {"--standalone", "--nproc_per_node=2", "--ranks=2"} <= {
        *list_words(make_document(num_gpus=2), tmp_path, None)
    }
    assert not any(word.startswith("--num-nodes") for word in container.work(make_document(), {}, tmp_path).arguments)


def test_node_that_the_platform_started_has_the_rank_of_the_platform(make_document, tmp_path, monkeypatch):
    monkeypatch.setenv("NODE_RANK", "1")
    placement = {"node_rank": "NODE_RANK", "node_address": "lead.lab"}
    command = container.work(make_document(placement, num_nodes=2), {}, tmp_path)
    group = json.loads(command.environ[NODES_VARIABLE])
    assert (group["rank"], group["address"], group["count"]) == (1, "lead.lab", 2)
    assert "--node-launcher=[]" in command.arguments


def test_processes_of_a_node_share_its_cores(make_document, lab, tmp_path, monkeypatch):
    """`isaaclab.sh` is asked on the node itself."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("robotrain_runtime.machine.hardware.count_cores", lambda: 16)
    (tmp_path / "run/isaac").mkdir(parents=True)
    (tmp_path / "ends").mkdir()
    group = dataclasses.replace(GROUP, ends=str(tmp_path / "ends"))
    monkeypatch.setenv(NODES_VARIABLE, group.to_json())
    printed = []

    def follow_program(group, program) -> int:
        with program.output:
            printed.extend(program.output.read().decode().splitlines())
        while program.is_running():
            pass
        return 0

    monkeypatch.setattr(node_training.node_program, "follow_program", follow_program)
    document = make_document({"node_launcher": NODE_LAUNCHER}, num_nodes=2, num_gpus=4)
    with pytest.raises(SystemExit):
        node_training.main(container.work(document, {}, tmp_path / "run").arguments[2:])
    assert printed[-1] == "threads 4"


def test_program_of_a_folder_is_refused_on_several_nodes(tmp_path):
    source = JobSource(role="code", kind="git", uri="git+https://github.com/lab/train")
    problems = check_job(ISAAC_TRAIN, source, num_nodes=2)
    check_problems(
        [problem for problem in problems if problem.where == "--num-nodes"], "option-without-effect --num-nodes"
    )


def test_processes_that_would_train_each_on_their_own_end(tmp_path, monkeypatch, capsys):
    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(launcher.os, "_exit", end)
    options = argparse.Namespace(report=str(tmp_path / "report"), ranks=2)
    with pytest.raises(SystemExit):
        launcher.Training(options).report_start("logs", 0, 3, 1, env=None)
    assert "error: 1 of 2 processes train together" in capsys.readouterr().out
    assert not (tmp_path / "report").exists()


@pytest.fixture
def train(tmp_path):
    """Train with the stand-in on two nodes, by the supervisor: `train("rsl_rl")`; it returns the end and the events."""

    def train(backend: str, *script: str) -> tuple[int, str, list]:
        environ = policy.make_environ(tmp_path / "lab")
        own = ["--backend", backend, "--task", "Isaac-Cartpole-v0", "--work", tmp_path / "run"]
        own += [
            "--checkpoints",
            tmp_path / "kept",
            "--num-nodes=2",
            f"--node-launcher={json.dumps([environ['STANDIN_PYTHON'], *NODE_LAUNCHER[1:]])}",
        ]
        words = ["--task", "Isaac-Cartpole-v0", "--num_envs", "16", "--max_iterations", "3", "--headless", *script]
        environ["PYTHONPATH"] = f"{ROOT / 'workloads'}:{ROOT / 'runtime'}"
        command = [environ["STANDIN_PYTHON"], "-m", "robotrain_workloads.isaac_train.supervisor", *own, "--", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=400, check=False)
        records = [parse_event(line) for line in done.stdout.splitlines()]
        return done.returncode, done.stdout + done.stderr, [record.event for record in records if record]

    return train


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "last"), [("rsl_rl", 2), ("skrl", 3 * ROLLOUTS)])
def test_two_nodes_train_together_and_the_first_reports(train, backend, last):
    code, output, events = train(backend, "--distributed")
    assert code == 0, output
    (group,) = [event for event in events if isinstance(event, Processes)]
    assert group == Processes(count=2, nodes=2, samples=32, unit="environments")
    steps = [event.step for event in events if isinstance(event, Checkpoint)]
    assert steps[-1] == last
    assert len(steps) == len({*steps}), "the first node alone saves"
    measured = [(event.step, name) for event in events if isinstance(event, Metrics) for name in event.values]
    assert len(measured) == len({*measured})
    if backend == "rsl_rl":
        assert f"Total timesteps: {16 * ROLLOUTS * 3 * 2}" in " ".join(output.split())
