"""A pretended evaluation: it leaves results and a copy of the policy, and tells of them."""

import os
from pathlib import Path

from robotrain_runtime.contract.event import Evaluated, Metrics, emit_event

WORK = Path(os.environ["PRETEND_WORK"])
RESULTS = WORK / "outputs/eval_results"
POLICY = WORK / "outputs/policy"


def write(path: Path, content: str) -> None:
    """A new file, in place of one of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(content)


def policy(step: int = 40, weights: str = "") -> str:
    """The folder of a policy, as `pretend_training` saves a model at that step."""
    folder = POLICY / f"{step:06}"
    write(folder / "weights", weights or f"model/weights of step {step}")
    return str(folder)


def evaluate(rate: float = 0.75, kept: str = "", step: int = 40, passed: bool | None = None, **said) -> None:
    """Results of four episodes, and the event."""
    for episode in range(4):
        write(RESULTS / f"videos/episode_{episode:03}.mp4", f"video {episode}")
        emit_event(Metrics(values={f"ep{episode}_success": 1.0}, step=episode + 1, total=4, unit="episode"))
    write(RESULTS / "eval_results.json", f'{{"success_rate": {rate}}}')
    values = {"scores": {"rollout/success_rate": rate, "replay/mse": 0.5}, **said}
    emit_event(Evaluated(episodes=4, results=str(RESULTS), policy=kept, step=step, passed=passed, **values))
