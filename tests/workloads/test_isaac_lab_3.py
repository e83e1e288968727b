"""Isaac Lab 3.0 itself, with Newton on the CPU: a policy is trained, resumed, validated and exported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Metrics, parse_event

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TASK, ROLLOUTS, SB3_ROLLOUTS = "Isaac-Cartpole-Direct", 32, 16
"""The last: the timesteps of an iteration of skrl, and those of each environment of sb3."""
SMALL = ("--task", TASK, "--num-envs", "16", "--seed", "42", "--skip-register-checkpoint")

MAKE_DOUBLE_PENDULUM = """
import importlib.util, sys
from pathlib import Path
newton = Path(importlib.util.find_spec("newton").origin)
text = newton.with_name("examples").joinpath("assets/cartpole.usda").read_text()
names = {"railCartJoint": "slider_to_cart", "cartPoleJoint": "cart_to_pole", "polePoleJoint": "pole_to_pendulum"}
for old, new in (names | {"pole1": "pole", "pole2": "pendulum"}).items():
    text = text.replace(old, new)
path = Path(sys.argv[1], "Isaac/IsaacLab/Robots/Classic/CartDoublePendulum/cart_double_pendulum.usd")
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(text)
"""


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    code: int
    output: str
    folder: Path

    @property
    def events(self) -> list[Any]:
        lines = (self.folder / "events.jsonl").read_text().splitlines()
        return [record.event for line in lines if (record := parse_event(line))]

    @property
    def steps(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, Checkpoint)]

    def checkpoint(self, step: int) -> Path:
        return next(Path(event.path) for event in self.events if isinstance(event, Checkpoint) and event.step == step)

    @property
    def metrics(self) -> set[str]:
        return {name for event in self.events if isinstance(event, Metrics) for name in event.values}


Submit = Callable[..., Ended]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("isaac-lab")


@pytest.fixture(scope="module")
def assets(isaac_lab_python: Path, folder: Path) -> Path:
    """The assets of the task, made from what Isaac Lab's packages ship."""
    made = folder / "assets"
    subprocess.run([isaac_lab_python, ROOT / "examples/isaac-cartpole/make_assets.py", made], check=True)
    return made


@pytest.fixture(scope="module")
def submit(folder: Path, assets: Path) -> Submit:
    """Submits a job of a workload, or a job file, to this machine and waits: `submit("isaac-train", *words)`."""

    def run(workload: str, *words: object, is_tracked: bool = False, timeout: int = 500) -> Ended:
        tracking = () if is_tracked else ("--tracking-uri", "none")
        line = ("submit", workload, "--platform", "local", *tracking, "--assets", assets)
        done = subprocess.run(
            [sys.executable, "-m", "robotrain", *map(str, (*line, "--wait", "--json", *words))],
            cwd=folder,
            env={**os.environ, "ROBOTRAIN_STATE": str(folder / "state")},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        answer = json.loads(done.stdout) if done.stdout else {}
        return Ended(done.returncode, done.stdout + done.stderr, folder / "state/local" / str(answer.get("run", "")))

    return run


@pytest.fixture(scope="module")
def trained(submit: Submit) -> Ended:
    """Three iterations of rsl_rl."""
    return submit("isaac-train", *SMALL, "--max-iterations", 3)


def read_checkpoint(python: Path, file: Path, expression: str) -> Any:
    """Return an expression of the content of a checkpoint, `c`."""
    code = f"import json, sys, torch; c = torch.load(sys.argv[1], weights_only=True); print(json.dumps({expression}))"
    return json.loads(subprocess.run([python, "-c", code, file], capture_output=True, text=True, check=True).stdout)


def test_a_policy_is_trained_without_a_gpu_an_image_or_a_license(trained: Ended) -> None:
    assert trained.code == 0, trained.output
    assert trained.steps == [0, 2]
    assert {"mean_reward", "mean_episode_length", "loss_value_function", "Metrics/success_rate"} <= trained.metrics
    assert "NVIDIA's license" not in trained.output
    assert (trained.checkpoint(2) / "params/agent.yaml").is_file()


@pytest.mark.long
def test_the_weights_are_those_of_isaac_lab_by_hand(
    submit: Submit, isaac_lab_python: Path, assets: Path, tmp_path: Path
) -> None:
    trained = submit("isaac-train", *SMALL, "--max-iterations", 20)
    command: list[str | Path] = [
        isaac_lab_python.with_name("isaaclab"),
        "train",
        "--rl_library",
        "rsl_rl",
        "--task",
        TASK,
    ]
    command += ["--num_envs=16", "--max_iterations=20", "--seed=42", "--device=cpu", "agent.device=cpu"]
    environ = {**os.environ, "ISAACSIM_ASSET_ROOT": str(assets)}
    subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, timeout=500)
    (by_hand,) = tmp_path.glob("logs/rsl_rl/*/*/model_19.pt")
    weights = "{name: value.numpy().tobytes().hex() for name, value in c['actor_state_dict'].items()}"
    ours = read_checkpoint(isaac_lab_python, trained.checkpoint(19) / "model_19.pt", weights)
    assert ours == read_checkpoint(isaac_lab_python, by_hand, weights)


def test_a_training_is_resumed_at_its_iteration(trained: Ended, submit: Submit) -> None:
    words = ("--checkpoint-uri", trained.checkpoint(2), "--checkpoint-mode", "resume")
    resumed = submit("isaac-train", *SMALL, "--max-iterations", 5, *words)
    assert resumed.code == 0, resumed.output
    assert resumed.steps[-1] == 4


@pytest.mark.long
def test_a_policy_of_skrl_is_trained_validated_and_exported(submit: Submit) -> None:
    trained = submit("isaac-train", *SMALL, "--max-iterations", 2, "--backend", "skrl")
    assert trained.code == 0, trained.output
    assert trained.steps[-1] == 2 * ROLLOUTS
    checkpoint = ("--checkpoint-uri", trained.checkpoint(2 * ROLLOUTS))
    validated = submit("isaac-validate", *checkpoint, "--eval-episodes", 4, "--num-envs", 4, "--success-threshold", 0)
    assert validated.code == 0, validated.output
    exported = submit("isaac-export", *checkpoint, "--max-steps", 0)
    assert exported.code == 0, exported.output
    check_export(exported)


@pytest.mark.long
def test_a_policy_of_sb3_is_trained_resumed_and_validated(submit: Submit) -> None:
    sb3, scaled = ("--backend", "sb3"), ("--", "agent.normalize_input=True", "--log_interval", 256)
    trained = submit("isaac-train", *SMALL, *sb3, "--max-iterations", 2, *scaled)
    assert trained.code == 0, trained.output
    steps = 2 * SB3_ROLLOUTS * 16
    assert trained.steps == [steps]
    assert {"loss_value_function", "train/approx_kl", "Metrics/success_rate"} <= trained.metrics
    start = ("--checkpoint-uri", trained.checkpoint(steps))
    assert (trained.checkpoint(steps) / f"model_vecnormalize_{steps}_steps.pkl").is_file()
    resumed = submit("isaac-train", *SMALL, *sb3, "--max-iterations", 3, *start, "--checkpoint-mode", "resume", *scaled)
    assert resumed.code == 0, resumed.output
    assert resumed.steps == [steps + SB3_ROLLOUTS * 16]
    validated = submit("isaac-validate", *start, "--eval-episodes", 4, "--num-envs", 4, "--success-threshold", 0)
    assert validated.code == 0, validated.output


@pytest.mark.long
def test_several_agents_of_skrl_train_together_and_start_warm(
    submit: Submit, assets: Path, isaac_lab_python: Path
) -> None:
    subprocess.run([isaac_lab_python, "-c", MAKE_DOUBLE_PENDULUM, assets], check=True)
    line = ("isaac-train", "--task", "Isaac-Pendulum-MARL-Direct", *SMALL[2:])
    mappo = ("--", "--algorithm", "MAPPO")
    trained = submit(*line, "--max-iterations", 7, *mappo, timeout=1800)
    assert trained.code == 0, trained.output
    assert trained.steps[-1] == 7 * 16
    assert {
        "mean_reward",
        "Metrics/success_rate",
        "Loss / Value loss cart",
        "Loss / Value loss pendulum",
    } <= trained.metrics
    parts = "sorted([*c, *c['cart']])"
    content = read_checkpoint(isaac_lab_python, trained.checkpoint(7 * 16) / f"agent_{7 * 16}.pt", parts)
    assert {"cart", "pendulum", "policy", "optimizer"} <= {*content}
    start = ("--checkpoint-uri", trained.checkpoint(7 * 16), "--checkpoint-mode", "warm-start")
    warm = submit(*line, "--max-iterations", 1, *start, *mappo, timeout=1800)
    assert warm.code == 0, warm.output
    assert warm.steps[-1] == 16
    refused = submit("isaac-validate", "--checkpoint-uri", trained.checkpoint(7 * 16))
    assert "has policies of several agents (MAPPO), which are not played yet" in refused.output


def check_export(exported: Ended) -> None:
    """Check that each file acts as the policy does, on 200 observations."""
    results = exported.folder / "outputs/export_results"
    compared = json.loads((results / "export_results.json").read_text())["comparison"]
    assert {name: comparison["observations"] for name, comparison in compared.items()} == {"onnx": 200, "jit": 200}
    assert max(comparison["max_error"] for comparison in compared.values()) < 1e-5
    assert {"policy.onnx", "policy.pt"} <= {path.name for path in (results / "exported").iterdir()}


def test_episodes_are_judged_by_the_success_rate_that_the_task_logs(trained: Ended, submit: Submit) -> None:
    words = ("--checkpoint-uri", trained.checkpoint(2), "--eval-episodes", 4, "--num-envs", 4)
    validated = submit("isaac-validate", *words, "--success-threshold", 1)
    assert validated.code == 5, validated.output
    assert "is below --success-threshold 1" in validated.output
    results = json.loads((validated.folder / "outputs/eval_results/eval_results.json").read_text())
    assert results["success_signal"]
    assert {episode["success"] for episode in results["rollout"]["per_episode"]} <= {True, False}


def test_a_policy_is_exported_and_acts_as_its_checkpoint(trained: Ended, submit: Submit) -> None:
    words = ("--checkpoint-uri", trained.checkpoint(2), "--max-steps", 10)
    exported = submit("isaac-export", *words)
    assert exported.code == 0, exported.output
    check_export(exported)
    (evaluated,) = (event for event in exported.events if isinstance(event, Evaluated))
    assert evaluated.scores["onnx/max_error"] < 1e-5


@pytest.mark.long
def test_the_pole_of_the_example_stands(submit: Submit) -> None:
    """Some minutes on two idle cores; more where others work."""
    trained = submit(str(ROOT / "examples/isaac-cartpole/job.yaml"), is_tracked=True, timeout=1800)
    assert trained.code == 0, trained.output
    values = [event.values for event in trained.events if isinstance(event, Metrics)]
    rewards = [measured["mean_reward"] for measured in values if "mean_reward" in measured]
    assert rewards[-1] >= 4.5
    validated = submit("isaac-validate", "--checkpoint-uri", trained.checkpoint(199), "--success-threshold", 0.9)
    assert validated.code == 0, validated.output
