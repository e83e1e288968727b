"""The adapter of the example: trained, evaluated, continued and merged by robotrain, and loaded by plain LeRobot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_stand_in import HubStandIn

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLE = ROOT / "examples/pusht-camera"
SMOLVLM = "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"
BACKBONE = ("--backbone-path", EXAMPLE / "backbones" / SMOLVLM)
DATA = ("--dataset-path", EXAMPLE / "dataset")
RENAME = ("--rename", "observation.image=observation.images.camera1")
QUICK = ("--training-steps", "4", "--batch-size", "2", "--num-workers", "0", "--save-freq", "2", "--log-freq", "1")
LARGEST_DIFFERENCE = 1e-5
Robotrain = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def hub() -> Iterator[HubStandIn]:
    """A Hub with the base of the example and the repository that it names."""
    with HubStandIn() as server:
        for name, folder in ((SMOLVLM, EXAMPLE / "backbones" / SMOLVLM), ("lab/base", EXAMPLE / "base")):
            server.repository(name, {path.name: path.read_bytes() for path in folder.iterdir()})
        yield server


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def run_robotrain(hub: HubStandIn, state: Path) -> Robotrain:
    """Run a command of robotrain, whose Hub is the stand-in."""

    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "HF_ENDPOINT": hub.address, "ROBOTRAIN_STATE": str(state)}
        environ.pop("HF_HUB_OFFLINE", None)
        line = [sys.executable, "-m", "robotrain", *map(str, words)]
        done = subprocess.run(line, cwd=state, env=environ, capture_output=True, text=True)
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-6000:]
        return done

    return run


@pytest.fixture(scope="module")
def adapter(run_robotrain: Robotrain) -> Path:
    """The checkpoint of the example's adapter, of the run `adapter`."""
    run_robotrain("submit", EXAMPLE / "adapter.yaml", "--platform", "local", "--name", "adapter", "--wait")
    return find_checkpoint(run_robotrain, "adapter")


@pytest.fixture(scope="module")
def hub_adapter(run_robotrain: Robotrain, hub: HubStandIn) -> Path:
    """The checkpoint of an adapter on a base of the Hub, which is at the Hub as well."""
    words = ("--policy-repo-id", "lab/base", "--lora-rank", "4", "--platform", "local", "--name", "from-hub", "--wait")
    run_robotrain("submit", *DATA, *RENAME, *QUICK, *words)
    folder = find_checkpoint(run_robotrain, "from-hub")
    hub.repository("lab/adapter", {path.name: path.read_bytes() for path in (folder / "pretrained_model").iterdir()})
    return folder


@pytest.fixture(scope="module")
def merged(run_robotrain: Robotrain, adapter: Path) -> Path:
    """The example's adapter and its base as one policy."""
    return merge(run_robotrain, "adapter")


def merge(run_robotrain: Robotrain, run: str) -> Path:
    words = ("submit", "lerobot-merge", "--policy-run", run, "--platform", "local", "--name", f"merged-{run}", "--wait")
    run_robotrain(*words)
    return find_checkpoint(run_robotrain, f"merged-{run}") / "pretrained_model"


def find_checkpoint(run_robotrain: Robotrain, run: str) -> Path:
    outputs = json.loads(run_robotrain("outputs", run, "--checkpoint", "last", "--json").stdout)["outputs"]
    return Path(outputs[0]["uri"])


def load_in_plain_lerobot(python: Path, name: object, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the class of a policy and its actions, as LeRobot loads it without robotrain."""
    line = [python, "-I", HERE / "plain_policy.py", str(name), EXAMPLE / "dataset"]
    done = subprocess.run(line, env={**os.environ, **environ}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    loaded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return loaded


@pytest.fixture(scope="module")
def hub_environ(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that reads the stand-in, and nothing that was read before."""
    return {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path_factory.mktemp("hf"))}


def test_checkpoint_holds_the_adapter_alone_and_no_folder_of_this_machine(adapter: Path) -> None:
    model = adapter / "pretrained_model"
    assert not (model / "model.safetensors").exists()
    assert (model / "adapter_model.safetensors").stat().st_size < (EXAMPLE / "base/model.safetensors").stat().st_size
    for name in ("adapter_config.json", "adapter_base.json", "config.json"):
        assert str(ROOT) not in (model / name).read_text()
    assert json.loads((model / "train_config.json").read_text())["policy"]["pretrained_path"] is None


def test_adapter_is_evaluated_on_pusht_with_its_base(run_robotrain: Robotrain, adapter: Path) -> None:
    words = ("--policy-run", "adapter", *BACKBONE, "--env", "pusht", "--eval-episodes", "1", "--env-steps", "4")
    options = ("--env-workers", "0", "--platform", "local", "--wait", "--json", "--", "--env.obs_type=pixels_agent_pos")
    done = run_robotrain("submit", "lerobot-eval", *words, *options)
    assert json.loads(done.stdout)["state"] == "succeeded"


@pytest.mark.long
def test_training_goes_on_with_the_adapter_and_resumes_it(run_robotrain: Robotrain, adapter: Path) -> None:
    words = ("--policy-run", "adapter", *BACKBONE, "--platform", "local", "--wait", "--name", "further")
    run_robotrain("submit", *DATA, *RENAME, *QUICK, *words)
    run_robotrain("resume", "further", "--set", "training_steps=6", "--wait")
    model = find_checkpoint(run_robotrain, "further") / "pretrained_model"
    first, last = (
        json.loads((folder / "adapter_base.json").read_text()) for folder in (adapter / "pretrained_model", model)
    )
    assert (model.parent.name, last) == ("000006", first)


@pytest.mark.long
def test_merged_policy_acts_as_adapter_and_base(training_python: Path, adapter: Path, merged: Path) -> None:
    folders = (adapter / "pretrained_model", EXAMPLE / "base", merged)
    line = [training_python, HERE / "merge_difference.py", *folders, "100"]
    cache = {"HF_HUB_CACHE": str(make_cache(merged.parent)), "HF_HUB_OFFLINE": "1"}
    paths = os.pathsep.join(str(ROOT / name) for name in ("runtime", "workloads"))
    done = subprocess.run(line, env={**os.environ, **cache, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    measures = json.loads(done.stdout.splitlines()[-1])
    assert measures["count"] == 100
    assert measures["difference"] <= LARGEST_DIFFERENCE < measures["effect"]


def make_cache(place: Path) -> Path:
    """Return a cache of the Hub with the example's backbone."""
    entry, commit = place / "cache" / f"models--{SMOLVLM.replace('/', '--')}", "0" * 40
    (entry / "refs").mkdir(parents=True)
    (entry / "refs/main").write_text(commit)
    (entry / "snapshots").mkdir()
    (entry / "snapshots" / commit).symlink_to(EXAMPLE / "backbones" / SMOLVLM)
    return place / "cache"


@pytest.mark.long
def test_plain_lerobot_loads_the_merged_policy(
    training_python: Path, merged: Path, hub_environ: dict[str, str]
) -> None:
    assert json.loads((merged / "config.json").read_text())["use_peft"] is False
    assert load_in_plain_lerobot(training_python, merged, hub_environ)["class"] == "SmolVLAPolicy"


@pytest.mark.long
def test_plain_lerobot_loads_the_adapter_with_its_base_from_the_hub(
    run_robotrain: Robotrain,
    training_python: Path,
    hub: HubStandIn,
    hub_adapter: Path,
    hub_environ: dict[str, str],
    state: Path,
) -> None:
    settings = json.loads((hub_adapter / "pretrained_model/adapter_config.json").read_text())
    commit = hub.repositories["models/lab/base"].branches["main"]
    assert (settings["base_model_name_or_path"], settings["revision"]) == ("lab/base", commit)
    both = load_in_plain_lerobot(training_python, "lab/adapter", hub_environ)
    assert both["class"].startswith("Peft")
    merged = load_in_plain_lerobot(training_python, merge(run_robotrain, "from-hub"), hub_environ)
    largest = max(abs(first - second) for first, second in zip(both["actions"], merged["actions"], strict=True))
    assert largest <= LARGEST_DIFFERENCE
