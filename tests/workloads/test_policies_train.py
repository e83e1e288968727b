"""Each policy type and reward model trains, is fine-tuned and resumes through robotrain, with backbones from a Hub."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import policy_trials
import pytest
from hub_stand_in import HubStandIn
from policy_trials import TRIALS, PolicyTrial

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
QUICK = (
    *("--batch-size", "2", "--num-workers", "0", "--log-freq", "1", "--save-freq", "5", "--device", "cpu"),
    *("--no-val-split", "--no-system-metrics", "--platform", "local", "--wait", "--new"),
)
MAKE_BACKBONES = """
import pathlib, sys, tiny_backbones, tiny_large_backbones
tiny_backbones.make_repositories(pathlib.Path(sys.argv[1]), sys.argv[2:])
"""
TRAINED = [trial for trial in TRIALS if "train" in trial.stages]
RESUMED = ("act", "smolvla", "groot", "pi0", "reward_classifier")
"""The types that resume in every run of the tests; the others did so by hand, with ROBOTRAIN_TEST_RESUME=all."""
CONTINUED = [
    (trial, stage)
    for trial in TRAINED
    for stage in trial.stages
    if stage == "fine-tune"
    or (stage == "resume" and (trial.type in RESUMED or os.environ.get("ROBOTRAIN_TEST_RESUME") == "all"))
]


class Hub(NamedTuple):
    """A Hub with the tiny backbones of all trials."""

    address: str
    commits: Mapping[str, str]
    """By repository."""


@pytest.fixture(scope="module")
def hub(training_python: Path, made_once: Callable[..., Path]) -> Iterator[Hub]:
    names = sorted({name for trial in TRAINED for name in trial.backbones})

    def make(folder: Path) -> None:
        command = [training_python, "-c", MAKE_BACKBONES, folder, *names]
        subprocess.run(command, check=True, capture_output=True, cwd=HERE)

    folder = made_once("tiny-backbones", make)
    with HubStandIn() as server:
        commits = {}
        for name in names:
            files = {
                path.relative_to(folder / name).as_posix(): path.read_bytes()
                for path in (folder / name).rglob("*")
                if path.is_file()
            }
            commits[name] = server.repository(name, files)
        yield Hub(server.address, commits)


@pytest.fixture(scope="module")
def environment(training_environment: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training environment, in which `reduced_pi` and `uncompiled` can be imported."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    python = Path(training_environment, "bin/python")
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = Path(training_environment).glob("lib/python*/site-packages")
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "trials.pth").write_text(f"{packages}\n{HERE}\n")
    return folder


@pytest.fixture(scope="module")
def datasets(training_python: Path, made_once: Callable[..., Path]) -> Callable[[str], Path]:
    def find(name: str) -> Path:
        def make(folder: Path) -> None:
            command = [training_python, HERE / "policy_datasets.py", folder, name]
            subprocess.run(command, check=True, capture_output=True)

        example = EXAMPLES / name / "dataset"
        return example if example.is_dir() else made_once(f"dataset-{name}", make) / name

    return find


Submit = Callable[..., Path]


@pytest.fixture(scope="module")
def submit(
    hub: Hub, environment: Path, datasets: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Submit:
    """Submit a trial on this machine, wait for its end, and return its newest checkpoint."""

    def submit(trial: PolicyTrial, steps: int, *words: object, to: Path | None = None) -> Path:
        folder = to or tmp_path_factory.mktemp(trial.type)
        options = [*QUICK, "--dataset-path", datasets(trial.dataset), "--training-steps", steps, *words]
        options += [word for name in trial.named for word in ("--backbone-repo-id", name)]
        if trial.trusted:
            options += ["--trust-remote-code", ",".join(f"{name}@{hub.commits[name]}" for name in trial.trusted)]
        if trial.every_time:
            options += ["--environment", environment]
        new = () if {"--policy-path", "--resume-from"} & {*words} else trial.options
        line = [sys.executable, "-m", "robotrain", "submit", *options, "--output-dir", folder / "outputs"]
        variables = {**os.environ, "HF_ENDPOINT": hub.address, "ROBOTRAIN_STATE": str(folder / "state")}
        variables.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run(
            [str(word) for word in (*line, "--", *new, *trial.every_time)],
            **{"cwd": folder, "env": variables, "capture_output": True, "text": True},
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return folder / f"outputs/checkpoints/{steps:06}"

    return submit


@pytest.fixture(scope="module")
def train(submit: Submit, made_once: Callable[..., Path]) -> Callable[[PolicyTrial], Path]:
    """Return the checkpoint of a new training, which each type has once."""

    def train(trial: PolicyTrial) -> Path:
        flag = "--reward-model" if trial.reward_model else "--policy-type"
        folder = made_once(f"trained-{trial.type}", lambda to: submit(trial, trial.steps, flag, trial.type, to=to))
        return folder / f"outputs/checkpoints/{trial.steps:06}"

    return train


@pytest.mark.slow
@pytest.mark.parametrize("trial", TRAINED, ids=lambda trial: trial.type)
def test_a_type_trains(train: Callable[[PolicyTrial], Path], trial: PolicyTrial) -> None:
    assert (train(trial) / "pretrained_model/model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("trial", "stage"), CONTINUED, ids=lambda value: getattr(value, "type", value))
def test_a_type_is_trained_further(
    train: Callable[[PolicyTrial], Path], submit: Submit, trial: PolicyTrial, stage: policy_trials.Stage
) -> None:
    start = train(trial)
    if stage == "resume":
        checkpoint = submit(trial, trial.steps + 2, "--resume-from", start)
    else:
        checkpoint = submit(trial, trial.steps, "--policy-path", start)
    assert (checkpoint / "pretrained_model/model.safetensors").is_file()
