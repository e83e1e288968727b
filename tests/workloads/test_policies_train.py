"""Each policy type and reward model trains, goes on and is evaluated through robotrain, with backbones from a Hub."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import eval_launcher
import policy_trials
import pytest
import tiny_backbones
from hub_stand_in import HubStandIn
from policy_trials import TRIALS, PolicyTrial
from small_training import read_tensors
from warm_server import LEROBOT_VARIABLES

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
HERE_AND_NOW = ("--device", "cpu", "--no-system-metrics", "--platform", "local", "--wait", "--new")
QUICK = (
    *("--batch-size", "2", "--num-workers", "0", "--log-freq", "1", "--save-freq", "5", "--no-val-split"),
    *HERE_AND_NOW,
)
ONE_EPISODE = ("--eval-episodes", "1", "--replay-episodes", "0", "--no-keep-policy")
ROLLED_OUT = ("--env", "pusht", "--env-steps", "6", "--env-workers", "0")
SMALL_PICTURES = ("--env.observation_height=64", "--env.observation_width=64")
WEIGHTS = "resnet18-f37072fd.pth"
"""The file of torchvision's weights that LeRobot's ACT starts from; that of the tests has random ones."""
MAKE_BACKBONES = f"""
import pathlib, sys, tiny_backbones, tiny_large_backbones, torch, torchvision
folder = pathlib.Path(sys.argv[1])
tiny_backbones.make_repositories(folder, sys.argv[2:])
torch.save(torchvision.models.resnet18().state_dict(), folder / {WEIGHTS!r})
"""
TRAINED = [trial for trial in TRIALS if "train" in trial.stages]
RESUMED = ("act", "smolvla", "groot", "pi0", "reward_classifier")
"""The types that resume in every run of the tests; the others did so by hand, with ROBOTRAIN_TEST_RESUME=all."""
TRANSLATED = ("act", "diffusion", "vqbet", "tdmpc", "smolvla", "multi_task_dit")
"""The types whose training is what `from-lerobot` makes of a line of lerobot-train, which is run as well."""
TRANSLATED_STEPS = 20
USUAL = ("act", "smolvla")
"""The types that .ci/run trains; .ci/long trains the others."""
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
    folder: Path
    """The files of the repositories."""


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
        yield Hub(server.address, commits, folder)


def make_environment(folder: Path, base: str, imported: str = "") -> Path:
    """Make an environment with the packages of `base` and those beside this file, one of which LeRobot imports."""
    subprocess.run([Path(base, "bin/python"), "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = Path(base).glob("lib/python*/site-packages")
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "trials.pth").write_text(f"{packages}\n{HERE}\n")
    if imported:
        (own / "lerobot_policy_trial.py").write_text(f"import {imported}\n")
        (own / "lerobot_policy_trial-1.0.dist-info").mkdir()
        metadata = "Metadata-Version: 2.1\nName: lerobot_policy_trial\nVersion: 1.0\n"
        (own / "lerobot_policy_trial-1.0.dist-info/METADATA").write_text(metadata)
    return folder


@pytest.fixture(scope="module")
def environment(training_environment: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training environment, in which `reduced_pi` and `uncompiled` can be imported."""
    return make_environment(tmp_path_factory.mktemp("environment") / "venv", training_environment)


@pytest.fixture(scope="module")
def datasets(training_python: Path, made_once: Callable[..., Path]) -> Callable[[str], Path]:
    def find(name: str) -> Path:
        def make(folder: Path) -> None:
            command = [training_python, HERE / "policy_datasets.py", folder, name]
            subprocess.run(command, check=True, capture_output=True)

        example = EXAMPLES / name / "dataset"
        return example if example.is_dir() else made_once(f"dataset-{name}", make) / name

    return find


Run = Callable[..., None]


@pytest.fixture(scope="module")
def run(hub: Hub, datasets: Callable[[str], Path]) -> Run:
    """Submit a job for a trial, with its data and repositories, and wait for its end."""

    def run(trial: PolicyTrial, folder: Path, words: Sequence[object], options: Sequence[str]) -> None:
        arguments = ["--output-dir", folder / "outputs", *words]
        arguments += [] if "--dataset-path" in arguments else ["--dataset-path", datasets(trial.dataset)]
        arguments += [word for name in trial.named for word in ("--backbone-repo-id", name)]
        if trial.trusted:
            arguments += ["--trust-remote-code", ",".join(f"{name}@{hub.commits[name]}" for name in trial.trusted)]
        line = [sys.executable, "-m", "robotrain", "submit", *arguments, "--", *options]
        variables = {**os.environ, "HF_ENDPOINT": hub.address, "ROBOTRAIN_STATE": str(folder / "state")}
        variables.pop("HF_HUB_OFFLINE", None)
        how = {"cwd": folder, "env": variables, "capture_output": True, "text": True}
        done = subprocess.run([str(word) for word in line], **how)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]

    return run


Submit = Callable[..., Path]


@pytest.fixture(scope="module")
def submit(run: Run, environment: Path, training_environment: str, tmp_path_factory: pytest.TempPathFactory) -> Submit:
    """Train a trial on this machine, and return its newest checkpoint."""

    def submit(trial: PolicyTrial, steps: int, *words: object, to: Path | None = None) -> Path:
        folder = to or tmp_path_factory.mktemp(trial.type)
        own = ("--environment", environment if trial.every_time else training_environment)
        own += ("--statistics", "computed") if trial.reads_quantiles else ()
        new = () if {"--policy-path", "--resume-from"} & {*words} else trial.options
        run(trial, folder, [*QUICK, "--training-steps", steps, *words, *own], [*new, *trial.every_time])
        return folder / f"outputs/checkpoints/{steps:06}"

    return submit


def make_line(trial: PolicyTrial, dataset: Path) -> list[str]:
    """Return the options of a line of lerobot-train, with places, seed, split and decoder; all else is LeRobot's."""
    places = ("--dataset.repo_id=dataset", f"--dataset.root={dataset}", "--policy.device=cpu")
    options = ("--policy.push_to_hub=false", "--seed=3", "--dataset.eval_split=0.25", "--dataset.video_backend=pyav")
    own = (f"--policy.type={trial.type}", f"--steps={TRANSLATED_STEPS}", "--num_workers=0", *trial.options)
    return [*own, *places, *options]


@pytest.fixture(scope="module")
def submit_line(
    run: Run, hub: Hub, datasets: Callable[[str], Path], training_environment: str
) -> Callable[[PolicyTrial, Path], None]:
    """Train a trial on this machine by what `from-lerobot` makes of its line, act from torchvision's weights."""

    def submit_line(trial: PolicyTrial, folder: Path) -> None:
        command = [sys.executable, "-m", "robotrain", "from-lerobot", "--json", "--", "lerobot-train"]
        done = subprocess.run([*command, *make_line(trial, datasets(trial.dataset))], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        words = json.loads(done.stdout)["command"][4:]
        at = words.index("--")
        weights = ("--backbone-path", hub.folder / WEIGHTS) if trial.type == "act" else ()
        here = (*weights, "--environment", training_environment, "--no-system-metrics", "--platform", "local", "--wait")
        run(trial, folder, [*words[:at], *here], words[at + 1 :])

    return submit_line


@pytest.fixture(scope="module")
def train(submit: Submit, submit_line: Callable[..., None], made_once: Callable[..., Path]) -> Callable[..., Path]:
    """Return the checkpoint of a new training, which each type has once."""

    def train(trial: PolicyTrial) -> Path:
        flag = "--reward-model" if trial.reward_model else "--policy-type"
        is_translated = trial.type in TRANSLATED

        def make(folder: Path) -> None:
            if is_translated:
                submit_line(trial, folder)
            else:
                submit(trial, trial.steps, flag, trial.type, to=folder)

        steps = TRANSLATED_STEPS if is_translated else trial.steps
        return made_once(f"trained-{trial.type}", make) / f"outputs/checkpoints/{steps:06}"

    return train


@pytest.fixture(scope="module")
def train_plainly(training_python: Path, hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """LeRobot's own trainer, which finds the repositories and the weights in caches."""
    caches = tmp_path_factory.mktemp("caches")
    tiny_backbones.serve(hub.folder, caches / "huggingface")
    (caches / "torch/hub/checkpoints").mkdir(parents=True)
    (caches / "torch/hub/checkpoints" / WEIGHTS).symlink_to(hub.folder / WEIGHTS)
    environ = {**os.environ, **LEROBOT_VARIABLES}
    environ |= {"HF_HUB_CACHE": str(caches / "huggingface"), "TORCH_HOME": str(caches / "torch")}

    def train_plainly(*options: str) -> None:
        command = [training_python, "-m", "lerobot.scripts.lerobot_train", *options]
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-3000:]

    return train_plainly


def mark_rare(trials: Iterable[PolicyTrial]) -> list[Any]:
    """Return the trials, those of a rare type marked as long."""
    return [trial if trial.type in USUAL else pytest.param(trial, marks=pytest.mark.long) for trial in trials]


@pytest.mark.slow
@pytest.mark.parametrize("trial", mark_rare(TRAINED), ids=lambda trial: trial.type)
def test_a_type_trains(train: Callable[[PolicyTrial], Path], trial: PolicyTrial) -> None:
    assert (train(trial) / "pretrained_model/model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    "trial", mark_rare(trial for trial in TRAINED if trial.type in TRANSLATED), ids=lambda trial: trial.type
)
def test_a_translated_line_trains_the_weights_of_lerobot_train(
    train: Callable[[PolicyTrial], Path],
    train_plainly: Callable[..., None],
    datasets: Callable[[str], Path],
    tmp_path: Path,
    trial: PolicyTrial,
) -> None:
    ours = train(trial)
    train_plainly(*make_line(trial, datasets(trial.dataset)), f"--output_dir={tmp_path}/outputs")
    weights = "pretrained_model/model.safetensors"
    plain = tmp_path / "outputs/checkpoints" / ours.name / weights
    assert (ours / weights).read_bytes() == plain.read_bytes()


@pytest.mark.slow
@pytest.mark.long
def test_weights_of_smolvla_are_the_same_with_the_cache_of_frames(submit: Submit) -> None:
    """With image transforms, and after a resume; as those of act and diffusion in test_frame_cache.py."""
    (smolvla,) = (trial for trial in TRAINED if trial.type == "smolvla")
    trial = dataclasses.replace(smolvla, every_time=("--dataset.image_transforms.enable=true",))
    cached = ("--frame-cache", "on")
    plain, filled = (submit(trial, 10, "--policy-type", trial.type, *words) for words in ((), cached))
    half = plain.with_name("000005")
    resumed, from_cache = (submit(trial, 10, "--resume-from", half, *words) for words in ((), cached))
    checkpoints = (plain, filled, resumed, from_cache)
    weights = [read_tensors(checkpoint / "pretrained_model/model.safetensors") for checkpoint in checkpoints]
    assert weights[0] == weights[1]
    assert weights[2] == weights[3]
    assert list(Path(os.environ["ROBOTRAIN_CACHE"]).glob("frames/*/*.pixels"))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("trial", "stage"), CONTINUED, ids=lambda value: getattr(value, "type", value))
def test_a_type_is_trained_further(
    train: Callable[[PolicyTrial], Path], submit: Submit, trial: PolicyTrial, stage: policy_trials.Stage
) -> None:
    start = train(trial)
    if stage == "resume":
        checkpoint = submit(trial, int(start.name) + 2, "--resume-from", start)
    else:
        checkpoint = submit(trial, trial.steps, "--policy-path", start)
    assert (checkpoint / "pretrained_model/model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "trial", [trial for trial in TRAINED if "adapter" in trial.stages], ids=lambda trial: trial.type
)
def test_an_adapter_of_a_type_is_trained(
    train: Callable[[PolicyTrial], Path], submit: Submit, trial: PolicyTrial
) -> None:
    model = submit(trial, trial.steps, "--policy-path", train(trial), "--lora-rank", 2) / "pretrained_model"
    assert (model / "adapter_model.safetensors").is_file()
    assert not (model / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "trial", [trial for trial in TRAINED if "evaluate" in trial.stages], ids=lambda trial: trial.type
)
def test_a_type_is_evaluated(
    train: Callable[[PolicyTrial], Path], run: Run, datasets: Callable[[str], Path], tmp_path: Path, trial: PolicyTrial
) -> None:
    """On an episode of its dataset, and in pusht if that shows what the policy reads."""
    words, options = (
        ["lerobot-eval", *HERE_AND_NOW, *ONE_EPISODE, "--policy-path", train(trial)],
        [*trial.evaluated_with],
    )
    features = json.loads((datasets(trial.dataset) / "meta/info.json").read_text())["features"]
    cameras = [name for name in features if name.startswith("observation.image")]
    is_rolled_out = cameras in ([], ["observation.image"])
    if is_rolled_out:
        words, options = [*words, *ROLLED_OUT], [*options, *(SMALL_PICTURES if cameras else ())]
    if trial.every_time:
        imported = trial.every_time[0].partition("=")[2]
        words += ["--environment", make_environment(tmp_path / "venv", eval_launcher.environment(), imported)]
    run(trial, tmp_path, words, options)
    results = eval_launcher.read_strict_json(tmp_path / "outputs/eval_results/eval_results.json")
    assert results["policy_type"] == trial.type
    assert [episode["episode"] for episode in results["per_episode"]] == [0]
    assert [episode["steps"] for episode in (results["rollout"] or {"per_episode": ()})["per_episode"]] == [
        6
    ] * is_rolled_out
