"""Several processes that train together: here they share the cores."""

import contextlib
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import job_documents
import pytest
from robotrain_runtime.contract.container_plugin import GpuRequirement
from robotrain_runtime.contract.event import Checkpoint, Outcome
from robotrain_runtime.machine import hardware
from robotrain_workloads.lerobot import device
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_training.process_group import GroupStop, NodesStop, ProcessAgreement
from small_training import SMALL, Trained, numbers, read_lines_until

EXACT = ("--policy.use_vae=false", "--policy.dropout=0", "--policy.chunk_size=1", "--policy.n_action_steps=1")
"""Without noise, and without padding, by which a loss is weighed on each process alone."""
LONG = {"num_gpus": 2, "training_steps": 100_000, "save_freq": 50_000, "log_freq": 1, "eval_freq": 0}
SECONDS = 240.0
"""Longer than anything here takes on a busy machine."""


def ranks(work: Path) -> dict[int, int]:
    """The processes that train below `work`, by rank; those that load data are not among them."""
    pid_by_rank = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if {container.LAUNCHER.encode(), f"--output_dir={work}/outputs".encode()} <= {*words}:
                environ = dict(line.partition(b"=")[::2] for line in (process / "environ").read_bytes().split(b"\0"))
                if b"RANK" in environ:
                    pid_by_rank[int(environ[b"RANK"])] = int(process.name)
    return pid_by_rank


def read_parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def list_processes(work: Path) -> list[str]:
    """Every process whose command or environment names the run."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(work).encode() in (process / "cmdline").read_bytes():
                commands.append((process / "cmdline").read_text().replace("\0", " "))
    return commands


@pytest.fixture
def training_in_two(cold, start, pusht, tmp_path):
    """Start a long training of two processes; returns it with what it said until both have done steps."""

    def run(**changes):
        process = start(pusht, SMALL["act"], **LONG | changes)
        return process, [*read_lines_until(process, "train/loss"), *read_lines_until(process, "train/loss")]

    return run


def wait_for_end(process, lines, tmp_path) -> Trained:
    output, _ = process.communicate(timeout=SECONDS)
    return Trained(process.returncode, lines + output.splitlines(), tmp_path / "work", tmp_path / "mlflow.db")


def test_several_gpus_are_several_processes(training, tmp_path):
    started = container.work(training(num_gpus=4, mixed_precision="bf16"), {}, tmp_path).arguments
    at = started.index("--")
    assert started[:at] == ("-m", container.MULTI_GPU_LAUNCHER, "--count=4")
    assert job_documents.read_request(started).device == "auto"
    assert started[at + 2] == container.work(training(), {}, tmp_path).arguments[3] == "--"


def test_cores_are_shared_by_the_processes_unless_the_variable_is_set(monkeypatch):
    monkeypatch.setattr(hardware, "count_cores", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [device.count_threads(count) for count in (1, 2, 4, 32)] == [15, 7, 3, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert device.count_threads(4) == 6


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"device": "auto"}, None),
        ({"device": "cpu", "num_gpus": 4}, None),
        ({"device": "auto", "num_gpus": 4}, GpuRequirement(count=4, cuda="12.8", without=device.WITHOUT_GPU)),
        (
            {"device": "cuda", "mixed_precision": "bf16"},
            GpuRequirement(count=1, bf16=True, cuda="12.8", without=device.WITHOUT_GPU),
        ),
        ({"device": "cuda", "num_gpus": 2, "mixed_precision": "fp16"}, GpuRequirement(count=2, cuda="12.8")),
        (
            {
                "device": "auto",
                "num_gpus": 1,
                "mixed_precision": "fp16",
            },  # the device that is chosen, as one that is typed
            GpuRequirement(count=1, cuda="12.8", without=device.WITHOUT_GPU._replace(text="--mixed-precision bf16")),
        ),
    ],
)
def test_a_job_requires_several_gpus_and_one_only_with_device_cuda(training, parameters, expected):
    assert container.gpus(training(**parameters)) == expected


def test_the_cuda_version_is_that_of_the_lock(tmp_path):
    lock = tmp_path / "lock.txt"
    for pin, cuda in {"torch==2.10.0": "", "nvidia-cuda-runtime==13.0.96 \\": "13.0"}.items():
        lock.write_text(f"numpy==2.2.6\n{pin}\n")
        assert hardware.read_cuda_version(lock) == cuda


def test_the_first_process_names_a_step_that_none_has_done(tmp_path, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    agreement = ProcessAgreement(tmp_path)
    first, second = (GroupStop(agreement, first=first) for first in (True, False))
    assert not agreement.started.exists()
    assert [first.should_stop(7), second.should_stop(7)] == [False, False]
    agreement.stop_requested.touch()
    assert [second.should_stop(8), first.should_stop(8)] == [False, False]  # the second was ahead: it stops next
    assert [first.should_stop(9), second.should_stop(9)] == [True, True]


TORCHCODEC = "torchcodec 0.10.0 with FFmpeg 7.1.1"


class Store(dict):
    """What the ranks of several nodes tell one another."""

    announce, wait = dict.__setitem__, dict.__getitem__


@pytest.mark.parametrize("program", [TORCHCODEC, "PyAV 15.1.0 with FFmpeg 7.1.1"])
def test_nodes_that_decode_with_different_programs_end_with_both(tmp_path, monkeypatch, program):
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    store = Store()
    first, other = (NodesStop(ProcessAgreement(tmp_path), store, first=is_first) for is_first in (True, False))
    first.require_same_decoder(TORCHCODEC)
    is_same = program == TORCHCODEC
    with contextlib.nullcontext() if is_same else pytest.raises(SystemExit, match=f"{program}.*{TORCHCODEC}"):
        other.require_same_decoder(program)


def test_of_processes_that_fail_the_first_one_is_reported(tmp_path):
    agreement = ProcessAgreement(tmp_path)
    assert agreement.failure == ""
    agreement.report_failure("ValueError: the reason")
    agreement.report_failure("RuntimeError: connection closed by peer")
    assert agreement.failure == "ValueError: the reason"


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_train_as_one_with_twice_the_batch_and_report_once(train, pusht, tmp_path, monkeypatch):
    answers = tmp_path / "huggingface/accelerate/default_config.yaml"  # of `accelerate config`: refused when it is read
    answers.parent.mkdir(parents=True)
    answers.write_text("no_such_key: 1\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    parameters = {"log_freq": 1, "eval_freq": 3, "learning_rate": 3e-4}
    args = (*SMALL["act"], *EXACT)
    two = train(pusht, args, work="two", num_gpus=2, batch_size=4, tracked=True, **parameters)
    params = dict(two.ask("select key, value from params"))
    assert (params["num_gpus"], params["distributed"], params["effective_batch_size"]) == ("2", "true", "8")
    single = train(pusht, args, work="one", batch_size=8, **parameters)
    for name, steps in (("train/loss", [*range(1, 7)]), ("val/loss", [3, 6])):
        assert [*two.read_metric(name)] == steps
        assert two.read_metric(name) == pytest.approx(single.read_metric(name), rel=1e-4)
    assert [*two.read_metric("train/samples").values()] == [8, 16, 24, 32, 40, 48]
    assert [saved.step for saved in two.events(Checkpoint)] == [3, 6]
    assert sum(text.startswith("training on 2 processes, each on cpu") for text in two.notes) == 1
    assert len(two.notes) == len({*two.notes})
    assert sum("loading LeRobot and PyTorch" in line for line in two.lines) == 1


@pytest.mark.slow
@pytest.mark.long
def test_a_stop_ends_all_processes_after_the_same_step_with_one_checkpoint(training_in_two, tmp_path):
    process, lines = training_in_two(num_workers=1)
    os.killpg(process.pid, signal.SIGTERM)
    ran = wait_for_end(process, lines, tmp_path)
    assert ran.exit_code == 143, "\n".join(ran.lines)
    (saved,) = ran.events(Checkpoint)
    step = json.loads((Path(saved.path) / "training_state/training_step.json").read_text())
    assert (step["step"], step["num_processes"]) == (saved.step, 2)
    assert max(ran.read_metric()) == saved.step
    assert ran.events(Outcome)[0].state == "cancelled"
    assert any("stopping: saving a checkpoint first" in line for line in ran.lines)  # others print to the same pipe
    assert not any("Traceback" in line or "gloo" in line for line in ran.lines)
    assert list_processes(tmp_path) == []


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("rank", "beside"), [(0, 0), (1, 1)], ids=["the first", "one with a data-loading process"])
def test_a_process_that_is_killed_ends_the_run_and_is_its_reason(training_in_two, tmp_path, rank, beside):
    process, lines = training_in_two(num_workers=beside)
    os.kill(ranks(tmp_path / "work")[rank], signal.SIGKILL)
    ran = wait_for_end(process, lines, tmp_path)
    assert ran.exit_code == 137, "\n".join(ran.lines)
    (outcome,) = ran.events(Outcome)
    assert "SIGKILL" in outcome.reason
    assert f"rank {rank} of 2 was ended by signal 9" in ran.lines
    assert list_processes(tmp_path) == []


@pytest.mark.slow
@pytest.mark.long
def test_an_error_of_one_process_is_the_reason_whatever_the_others_say(training_in_two, tmp_path):
    process, lines = training_in_two(save_freq=60)
    (tmp_path / "work/outputs").write_text("a file where the first process would save, while the other waits for it")
    ran = wait_for_end(process, lines, tmp_path)
    assert ran.exit_code == 1, "\n".join(ran.lines)
    (outcome,) = ran.events(Outcome)
    assert "outputs" in outcome.reason
    assert "gloo" not in outcome.reason
    assert sum(line.startswith("Traceback") for line in ran.lines) == 1
    assert list_processes(tmp_path) == []


@pytest.mark.slow
@pytest.mark.long
def test_a_checkpoint_of_one_process_is_resumed_by_two_and_back(train, small):
    parameters = {"num_gpus": 2, "mixed_precision": "bf16", "training_steps": 8}
    two = train(small.dataset, SMALL["act"], {"resume": small.checkpoint}, work="two", **parameters)
    assert any("--num-gpus is 2 now, and was 1" in text for text in two.notes)
    assert [*two.read_metric()] == [8]
    (saved,) = two.events(Checkpoint)
    assert (saved.step, numbers(Path(saved.path))) == (8, {"F32"})
    single = train(small.dataset, SMALL["act"], {"resume": saved.path}, work="one", training_steps=10)
    assert any("--num-gpus is 1 now, and was 2" in text for text in single.notes)
    assert [checkpoint.step for checkpoint in single.events(Checkpoint)] == [9, 10]


@pytest.mark.slow
@pytest.mark.long
def test_no_process_outlives_the_one_that_started_them(training_in_two, tmp_path):
    process, _ = training_in_two()
    (starter,) = {read_parent(rank) for rank in ranks(tmp_path / "work").values()}
    os.kill(starter, signal.SIGKILL)  # as the runtime does when the time to save is over
    process.communicate(timeout=SECONDS)
    assert list_processes(tmp_path) == []
