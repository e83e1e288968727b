"""Trainings with Isaac Lab's stand-in on this machine: real argument parsers, Hydra, rsl_rl and skrl."""

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from isaac_stand_in import environments, policy
from robotrain_runtime.contract.event import Checkpoint, Metrics, Note, Registered, Tracking, parse_event

pytestmark = [pytest.mark.slow, pytest.mark.long]
ROLLOUTS = 16
"""Timesteps of an iteration."""
UPDATES = 20
"""Of the optimizer, an iteration: five epochs of four batches."""
SMALL = ("--isaac-version", "2.3", "--task", "Isaac-Cartpole-v0", "--num-envs", "16", "--headless")


@dataclass(frozen=True)
class Ended:
    """A run that has ended: its exit code, its events, and its own folder."""

    code: int
    output: str
    folder: Path

    @property
    def events(self) -> list[Any]:
        lines = (self.folder / "events.jsonl").read_text().splitlines()
        return [record.event for line in lines if (record := parse_event(line))]

    def list_events(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def steps(self) -> list[int]:
        return [event.step for event in self.list_events(Checkpoint)]

    @property
    def metrics(self) -> dict[str, list[int]]:
        """The steps of each metric."""
        steps_by_name: dict[str, list[int]] = {}
        for event in self.list_events(Metrics):
            for name in event.values:
                steps_by_name.setdefault(name, []).append(event.step)
        return steps_by_name

    def checkpoint(self, step: int) -> Path:
        return next(Path(event.path) for event in self.list_events(Checkpoint) if event.step == step)


Submit = Callable[..., Ended]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("isaac")


@pytest.fixture(scope="module")
def submit(folder: Path) -> Iterator[Submit]:
    """Submits a job to this machine and waits: `submit(*words)`.

    until: when its runtime gets SIGTERM, given the run's folder. command: another one, such as `resume RUN`.
    """
    lab = policy.make_environ(folder / "lab")
    started: list[subprocess.Popen[str]] = []

    def run(
        *words: str,
        environ: Mapping[str, str] = {},
        until: Callable[[Path], bool] | None = None,
        command: tuple[str, ...] = ("submit", "isaac-train"),
        tracked: bool = False,
    ) -> Ended:
        where = ("--platform", "local") if command[0] == "submit" else ()
        where += ("--tracking-uri", "none") if where and not tracked else ()
        process = subprocess.Popen(
            [sys.executable, "-m", "robotrain", *command, *where, "--wait", "--json", *words],
            cwd=folder,
            env={**lab, "ROBOTRAIN_STATE": str(folder / "state"), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        if until is not None:
            stop_once(folder / "state" / "local", until, process)
        output, narration = process.communicate(timeout=300)
        answer = json.loads(output) if output else {}
        return Ended(process.returncode, output + narration, folder / "state" / "local" / str(answer.get("run", "")))

    yield run
    for process in started:
        process.kill()
        process.communicate()


def stop_once(runs: Path, until: Callable[[Path], bool], process: "subprocess.Popen[str]") -> None:
    """Send SIGTERM to the runtime of the newest run once `until` says so of its folder."""
    before = set(runs.glob("*")) if runs.exists() else set()
    deadline = time.monotonic() + 200
    while True:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        new = set(runs.glob("*")) - before
        if new and until(next(iter(new))):
            break
        time.sleep(0.1)
    at = json.loads((next(iter(new)) / "supervisor.json").read_text())
    os.kill(at["pid"], signal.SIGTERM)


def has_checkpoint(folder: Path) -> bool:
    """Whether it has saved one by itself, so that it trains."""
    report = folder / "isaac-report.jsonl"
    return report.exists() and '"checkpoint"' in report.read_text()


@pytest.fixture(scope="module")
def trained(submit: Submit) -> Ended:
    """Twenty iterations of rsl_rl, tracked."""
    return submit(*SMALL, "-b", "rsl_rl", "-m", "20", "--", "agent.save_interval=5", tracked=True)


@pytest.fixture(scope="module")
def stopped_training(submit: Submit) -> Ended:
    """A training of skrl that was stopped."""
    return submit(*SMALL, "-m", "60", until=has_checkpoint)


def read_checkpoint(file: Path, expression: str) -> Any:
    """Return an expression of the content of a checkpoint, `c`."""
    code = f"import json, sys, torch; c = torch.load(sys.argv[1], weights_only=True); print(json.dumps({expression}))"
    command = [str(environments.install()), "-c", code, str(file)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_rsl_rl_trains_and_sends_metrics_and_checkpoints(trained: Ended) -> None:
    assert trained.code == 0, trained.output
    assert trained.steps == [0, 5, 10, 15, 19]
    assert trained.metrics["mean_reward"][-1] == 19
    assert set(trained.metrics["loss_value_function"]) == set(range(20))
    assert {"mean_noise_std", "learning_rate", "Episode_Termination/fell"} <= set(trained.metrics)
    assert not any(name.endswith("/time") for name in trained.metrics)
    assert {event.total for event in trained.list_events(Metrics) if event.step is not None} == {20}
    last = trained.checkpoint(19)
    assert (last / "model_19.pt").is_file()
    assert "activation: elu" in (last / "params/agent.yaml").read_text()


def test_the_last_checkpoint_is_registered_once(trained: Ended, folder: Path) -> None:
    (registered,) = trained.list_events(Registered)
    assert (registered.name, registered.step) == ("isaac-cartpole-v0", 19)
    with contextlib.closing(sqlite3.connect(folder / "state/mlflow.db")) as database:
        tags = dict(database.execute("select key, value from model_version_tags"))
    expected = {"framework": "rsl_rl", "task": "Isaac-Cartpole-v0", "algorithm": "PPO", "evaluated": "false"}
    assert {**expected, "checkpoint_mode": "from-scratch"}.items() <= tags.items()


def test_checkpoints_are_artifacts_where_the_contract_has_them(trained: Ended, folder: Path) -> None:
    (last,) = (folder / "state").rglob("checkpoints/final/model_19.pt")
    artifacts = last.parents[2]
    numbers = {path.name for path in (artifacts / "checkpoints").glob("model_*.pt")}
    assert numbers == {f"model_{step}.pt" for step in trained.steps}
    assert {path.name for path in (artifacts / "config").iterdir()} == {"agent.yaml", "env.yaml"}


@pytest.mark.parametrize(
    "form", ["runs:/{run}/checkpoints/final/model_19.pt", "runs:/{run}/checkpoints/000019", "models:/"]
)
def test_a_training_starts_from_each_address_that_outputs_prints(
    trained: Ended, submit: Submit, folder: Path, form: str
) -> None:
    command = [sys.executable, "-m", "robotrain", "outputs", "--json", "--checkpoint", "last", trained.folder.name]
    environ = {**os.environ, "ROBOTRAIN_STATE": str(folder / "state")}
    listed = json.loads(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)
    (tracking,) = trained.list_events(Tracking)
    start = form.format(run=tracking.run_id)
    (address,) = (address for address in listed["outputs"][0]["addresses"] if address.startswith(start))
    digest = hashlib.sha256((trained.checkpoint(19) / "model_19.pt").read_bytes()).hexdigest()
    words = ("--checkpoint-uri", address, "-M", "resume", "--sha256", digest)
    resumed = submit(*SMALL, "-b", "rsl_rl", "-m", "21", *words, "--skip-register-checkpoint", tracked=True)
    assert resumed.code == 0, resumed.output
    assert resumed.steps[-1] == 20


def test_two_processes_train_together_and_the_first_reports(folder: Path, tmp_path: Path) -> None:
    """By the supervisor alone: a job would look for two GPUs first."""
    checkpoints = tmp_path / "kept"
    own = [
        "--backend",
        "rsl_rl",
        "--task",
        "Isaac-Cartpole-v0",
        "--work",
        tmp_path / "run",
        "--checkpoints",
        checkpoints,
    ]
    own += ["--num-gpus", "2"]
    script = ["--task", "Isaac-Cartpole-v0", "--num_envs", "16", "--max_iterations", "3", "--headless", "--distributed"]
    environ = policy.make_environ(tmp_path / "lab")
    command = [environ["STANDIN_PYTHON"], "-m", "robotrain_workloads.isaac_train.supervisor", *own, "--", *script]
    root = Path(__file__).parents[2]
    environ["PYTHONPATH"] = f"{root / 'workloads'}:{root / 'runtime'}"
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Total timesteps: {16 * ROLLOUTS * 3 * 2}" in " ".join(done.stdout.split())
    events = [record.event for line in done.stdout.splitlines() if (record := parse_event(line))]
    assert [event.step for event in events if isinstance(event, Checkpoint)] == [0, 2]


def test_rsl_rl_is_resumed_to_the_same_iteration_after_a_stop(submit: Submit) -> None:
    stopped = submit(*SMALL, "-b", "rsl_rl", "-m", "40", until=has_checkpoint)
    assert stopped.code == 5, stopped.output
    last = stopped.steps[-1]
    assert 0 < last < 39
    assert read_checkpoint(stopped.checkpoint(last) / f"model_{last}.pt", "c['iter']") == last
    resumed = submit(command=("resume", stopped.folder.name))
    assert resumed.code == 0, resumed.output
    assert resumed.steps[-1] == 39
    assert min(resumed.metrics["loss_value_function"]) == last
    assert any("resuming from" in note.text for note in resumed.list_events(Note))
    assert "has 40 iterations, and the training ends after 40" in refusal(
        submit(command=("resume", resumed.folder.name))
    )


def test_skrl_is_stopped_with_a_checkpoint_and_goes_on_at_its_timestep(stopped_training: Ended, submit: Submit) -> None:
    assert stopped_training.code == 5, stopped_training.output
    last = stopped_training.steps[-1]
    assert 0 < last < 60 * ROLLOUTS
    assert last % ROLLOUTS == 0
    resumed = submit(command=("resume", stopped_training.folder.name))
    assert resumed.code == 0, resumed.output
    assert resumed.steps[-1] == 60 * ROLLOUTS
    assert min(resumed.steps) > last
    assert {"mean_reward", "Episode_Termination/fell", "Loss / Policy loss"} <= set(resumed.metrics)
    assert last < min(resumed.metrics["Loss / Policy loss"])
    assert max(resumed.metrics["Loss / Policy loss"]) > 55 * ROLLOUTS
    again = submit(command=("resume", resumed.folder.name))
    assert "has 60 iterations, and the training ends after 60" in refusal(again)


def test_a_warm_start_of_rsl_rl_keeps_the_normalizer_and_not_the_optimizer(trained: Ended, submit: Submit) -> None:
    source = trained.checkpoint(19)
    warm = submit(*SMALL, "-b", "rsl_rl", "-m", "1", "--checkpoint-uri", str(source), "-M", "warm-start")
    assert warm.code == 0, warm.output
    assert warm.steps == [0]
    content = "[c['iter'], int(c['optimizer_state_dict']['state'][0]['step']), int({}['actor_obs_normalizer.count'])]"
    count = content.format("c['model_state_dict']")
    iteration, updates, seen = read_checkpoint(warm.checkpoint(0) / "model_0.pt", count)
    assert (iteration, updates) == (0, UPDATES)
    assert seen > read_checkpoint(source / "model_19.pt", count)[2]


def test_a_warm_start_of_skrl_keeps_the_normalizer_and_not_the_optimizer(
    stopped_training: Ended, submit: Submit
) -> None:
    source = stopped_training.checkpoint(stopped_training.steps[-1])
    words = (*SMALL, "-m", "1", "--checkpoint-uri", str(source), "-M", "warm-start")
    warm = submit(*words)
    assert warm.code == 0, warm.output
    assert warm.steps[-1] == ROLLOUTS
    content = "[int(c['optimizer']['state'][0]['step']), int(c['state_preprocessor']['current_count'])]"
    updates, seen = read_checkpoint(warm.checkpoint(ROLLOUTS) / f"agent_{ROLLOUTS}.pt", content)
    assert updates == UPDATES
    assert seen > read_checkpoint(source / f"agent_{stopped_training.steps[-1]}.pt", content)[1]


def test_a_script_that_trains_nothing_and_exits_with_0_has_failed(submit: Submit) -> None:
    ended = submit(*SMALL, "-m", "2", environ={"STANDIN_SKRL_MINIMUM": "9.0"})
    assert ended.code == 5
    assert "it trained nothing" in ended.output


def test_a_file_that_holds_no_weights_is_refused(submit: Submit, tmp_path: Path) -> None:
    code = "import pathlib, sys, torch; torch.save(pathlib.Path('x'), sys.argv[1])"
    subprocess.run([str(environments.install()), "-c", code, str(tmp_path / "model_1.pt")], check=True)
    pickled = submit(*SMALL, "-b", "rsl_rl", "--checkpoint-uri", str(tmp_path), "-M", "warm-start")
    assert "it is not a checkpoint of rsl_rl, skrl or sb3" in refusal(pickled)


def refusal(ended: Ended) -> str:
    """What a submit was refused for, with exit code 4."""
    assert ended.code == 4, ended.output
    return ended.output
