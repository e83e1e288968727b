"""Validate a policy: `python -m robotrain_workloads.isaac_validate.supervisor … -- OPTIONS OF THE PLAY SCRIPT`.

It runs beside Isaac Lab, in the run's own environment: it starts a rollout in the play script, reads the episodes that
are reported, and judges the policy by them.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import pstdev
from typing import Any

from robotrain_runtime.contract.checkpoint import hash_file
from robotrain_runtime.contract.event import Evaluated, Metrics, Track, emit_event, emit_note

from robotrain_workloads.evaluation import result_files, rollout_scores
from robotrain_workloads.evaluation.result_files import JudgedMetric
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.isaac import installation, rollout
from robotrain_workloads.isaac.checkpoint_file import CheckpointFacts
from robotrain_workloads.isaac.played_checkpoint import load_checkpoint
from robotrain_workloads.isaac_validate import container, parameters

VIDEO = Path("videos") / "all.mp4"
NOT_JUDGED = (
    "the policy was not judged: the environment does not tell whether an episode succeeded, and a fall is no success;"
    " --reward-threshold R judges by the mean return"
)


class EpisodeLog:
    """The episodes that are reported, and where they were played."""

    def __init__(self, total: int) -> None:
        self.episodes: list[dict[str, Any]] = []
        self.device = ""
        self.num_envs = 0
        self._total = total

    def add_report(self, report: dict[str, Any]) -> None:
        """Keep what is reported, and send it on as an event."""
        if report["event"] == "began":
            self.device, self.num_envs = str(report["device"]), int(report["num_envs"])
            emit_event(Metrics(values={}, step=0, total=self._total, unit="episode"))
        elif report["event"] == "episode":
            self.episodes.append(report)
            episode_metrics = {"episode_return": float(report["sum_reward"]), "episode_length": float(report["steps"])}
            if report["success"] is not None:
                episode_metrics["episode_success"] = float(report["success"])
            emit_event(Metrics(values=episode_metrics, step=len(self.episodes), total=self._total, unit="episode"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The episodes of a policy, and what they are judged by."""

    rolled: RolloutResult
    success_threshold: float
    """The required success rate; without effect if the environment does not tell of successes."""
    reward_threshold: float | None = None
    """The required mean return where the environment does not tell."""

    @property
    def mean_return(self) -> float:
        """The mean over episodes of the sum of rewards."""
        return self.rolled.mean("sum_reward")

    @property
    def passed(self) -> bool | None:
        """Whether the policy is good enough; None if it is not judged."""
        if self.rolled.is_judged:
            return self.rolled.success_rate >= self.success_threshold
        return None if self.reward_threshold is None else self.mean_return >= self.reward_threshold

    @property
    def verdict(self) -> str:
        """The verdict in words: `passed`, `failed` or `not judged`."""
        return "not judged" if self.passed is None else "passed" if self.passed else "failed"

    def explain_failure(self) -> str:
        """Return why it has failed."""
        if self.rolled.is_judged:
            rate, trials = self.rolled.success_rate, self.rolled.trials
            return rollout_scores.explain_low_success(rate, trials, self.success_threshold)
        return f"the mean return {self.mean_return:.6g} is below --reward-threshold {self.reward_threshold:.15g}"

    def describe_criterion(self) -> str:
        """Return what it is judged by, such as `success rate at least 0.7`."""
        if self.rolled.is_judged:
            return f"success rate at least {self.success_threshold:g}"
        return "not judged" if self.reward_threshold is None else f"mean return at least {self.reward_threshold:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationSetup:
    """What was validated, and how."""

    job_name: str
    task: str
    backend: str
    device: str
    seed: int
    num_envs: int
    policy: Mapping[str, Any]
    """Source, name, pin, type, step and sha256."""
    options: Sequence[str] = ()


def describe_conditions(result: ValidationResult, setup: ValidationSetup) -> str:
    """Return the conditions of the scores, such as `Isaac-Ant-v0, 64 environments, seed 42, …`."""
    parts = (setup.task, f"{setup.num_envs} environments", f"seed {setup.seed}", result.describe_criterion())
    return ", ".join((*parts, *((f"with {' '.join(setup.options)}",) if setup.options else ())))


def write_results(result: ValidationResult, setup: ValidationSetup, folder: Path) -> None:
    """Write the documents that an evaluation writes."""
    result_files.write_json(folder / "eval_results.json", make_summary(result, setup))
    rolled, mean_return = result.rolled, result.mean_return
    if rolled.is_judged:
        metrics = [
            JudgedMetric("success_rate", rolled.success_rate, result.success_threshold, result.passed),
            JudgedMetric("avg_sum_reward", mean_return, None, None),
        ]
    else:
        metrics = [JudgedMetric("avg_sum_reward", mean_return, result.reward_threshold, result.passed)]
    metrics.append(JudgedMetric("avg_length", rolled.mean("steps"), None, None))
    result_files.write_json(folder / "metrics.json", result_files.make_metrics_report(result.passed, metrics))
    result_files.write_lines(folder / "failure_cases.jsonl", rolled.list_failures())


def make_summary(result: ValidationResult, setup: ValidationSetup) -> dict[str, Any]:
    """Return the object of `eval_results.json`."""
    rolled = result.rolled
    returns = [episode.sum_reward for episode in rolled.episodes]
    settings = {"env": setup.task, "starts": None, "success_reward": None, "env_steps": None, "batch": setup.num_envs}
    return {
        "job_name": setup.job_name,
        "policy_repo_id": setup.policy["name"],
        "policy_type": setup.backend,
        "framework": setup.backend,
        "task": setup.task,
        "dataset_repo_id": None,
        "device": setup.device,
        "episodes_evaluated": len(rolled.episodes),
        "mean_reward": result.mean_return,
        "std_reward": pstdev(returns),
        "mean_length": rolled.mean("steps"),
        "success_rate": rolled.success_rate if rolled.is_judged else None,
        "latency_ms": None,
        "per_joint": None,
        "per_episode": [],
        "rollout": {**settings, **rolled.summarize()},
        "seed": setup.seed,
        "options": list(setup.options),
        "conditions": describe_conditions(result, setup),
        "policy": dict(setup.policy),
        "success_signal": rolled.is_judged,
        "success_threshold": result.success_threshold if rolled.is_judged else None,
        "reward_threshold": None if rolled.is_judged else result.reward_threshold,
        "verdict": result.verdict,
        "passed": result.passed,
        "status": "completed",
    }


def choose_threshold(threshold: float | None, facts: CheckpointFacts) -> float:
    """Return the success rate that a policy must reach: the flag's, else the model's, else 0.7."""
    candidates = (threshold, facts.success_threshold, parameters.DEFAULT_THRESHOLD)
    return next(candidate for candidate in candidates if candidate is not None)


def _keep_video(played: Path, folder: Path) -> None:
    """Keep the video that the script recorded."""
    videos = sorted(played.rglob("videos/play/*.mp4"))
    if not videos:
        emit_note("Isaac Lab's script recorded no video", "warning")
        return
    (folder / VIDEO).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(videos[0], folder / VIDEO)


def main(arguments: Sequence[str]) -> None:
    """Validate. Raise SystemExit with a sentence, also for a policy that is not good enough."""
    parser = rollout.make_parser("supervisor")
    add = parser.add_argument
    add("--source-kind", required=True)
    add("--pin", default="")
    add("--sha256", default="", help="the digest that the checkpoint's file must have")
    add("--eval-episodes", type=int, required=True)
    add("--success-threshold", type=float)
    add("--reward-threshold", type=float)
    program_options = rollout.parse_options(parser, arguments)
    try:
        lab = installation.find_installation(program_options.isaaclab_path, program_options.isaac_version)
        checkpoint = load_checkpoint(program_options.checkpoint, program_options.cache)
    except OSError as error:
        raise WorkFailed(error) from error
    expected_values = {
        "task": program_options.task,
        "backend": program_options.backend,
        "sha256": program_options.sha256,
        "series": lab.series,
    }
    if problem := next(container.find_checkpoint_problems(checkpoint, **expected_values), ""):
        raise WorkFailed(problem)
    if checkpoint.params is None:
        note_text = "the checkpoint has no params/agent.yaml: the network is that of the task's own settings"
        emit_note(note_text, "warning")
    task = program_options.task or checkpoint.facts.task
    emit_event(Track(tags={"task": task, "framework": checkpoint.backend, "checkpoint_file": checkpoint.file.name}))
    play_options = (f"--episodes={program_options.eval_episodes}", f"--video-length={program_options.video_length}")
    log = EpisodeLog(program_options.eval_episodes)
    played_folder = rollout.play(
        program_options,
        lab,
        checkpoint,
        task,
        play_options,
        log.add_report,
        num_envs=min(program_options.num_envs, program_options.eval_episodes),
        video_length=program_options.video_length,
    )
    episode_fields = ("index", "steps", "sum_reward", "max_reward", "final_reward", "success", "seconds")
    ordered_episodes = sorted(log.episodes, key=lambda episode: int(episode["index"]))
    validation_result = ValidationResult(
        rolled=RolloutResult(
            episodes=[
                RolloutEpisode(seed=program_options.seed, **{name: episode[name] for name in episode_fields})
                for episode in ordered_episodes
            ]
        ),
        success_threshold=choose_threshold(program_options.success_threshold, checkpoint.facts),
        reward_threshold=program_options.reward_threshold,
    )
    setup = ValidationSetup(
        job_name=program_options.job_name,
        task=task,
        backend=checkpoint.backend,
        device=log.device,
        seed=program_options.seed,
        num_envs=log.num_envs,
        policy={
            "source": program_options.source_kind,
            "name": program_options.source,
            "pin": program_options.pin or None,
            "type": checkpoint.backend,
            "step": checkpoint.step,
            "sha256": hash_file(checkpoint.file),
        },
        options=program_options.options,
    )
    with result_files.fill_folder(program_options.results) as scratch_folder:
        if program_options.video_length:
            _keep_video(played_folder, scratch_folder)
        write_results(validation_result, setup, scratch_folder)
    _send_result(validation_result, setup, program_options.results)


def _send_result(result: ValidationResult, setup: ValidationSetup, folder: Path) -> None:
    """Send the scores and the verdict. Raise SystemExit for a policy that is not good enough."""
    rolled, scores = result.rolled, result.rolled.compute_scores()
    emit_event(Metrics(values=scores, step=len(rolled.episodes), total=len(rolled.episodes), unit="episode"))
    count = f"{rolled.successes} of {len(rolled.episodes)}"
    success = f"success {count} ({rolled.success_rate:.0%}), " if rolled.is_judged else ""
    print(f"validation: {success}mean return {result.mean_return:.6g}: {result.verdict}", flush=True)
    emit_event(
        Evaluated(
            episodes=len(rolled.episodes),
            scores=scores,
            results=str(folder.absolute()),
            step=int(setup.policy["step"]),
            passed=result.passed,
            conditions=describe_conditions(result, setup),
        )
    )
    if rolled.is_judged and result.reward_threshold is not None:
        emit_note("--reward-threshold has no effect: the environment tells of successes")
    if result.passed is None:
        emit_note(NOT_JUDGED, "warning")
    elif not result.passed:
        raise WorkFailed(result.explain_failure())


if __name__ == "__main__":
    main(sys.argv[1:])
