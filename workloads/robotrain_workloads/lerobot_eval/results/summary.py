"""What an evaluation found: `eval_results.json`, `metrics.json` with verdicts, tracked scores and their conditions."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from robotrain_runtime.contract.event import Scored

from robotrain_workloads.evaluation import result_files, rollout_scores
from robotrain_workloads.evaluation.result_files import JudgedMetric
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.lerobot.loaded_policy import POLICY_OPTION
from robotrain_workloads.lerobot.parameters import DEFAULT_DATASET_NAME
from robotrain_workloads.lerobot_eval.inputs import simulation
from robotrain_workloads.lerobot_eval.inputs.held_out import ALL, BUILTIN_SOURCE, HELD_OUT
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayEpisode, ReplayResult

EPISODE_FIELDS = ("steps", "mse", "mae", "max_error", "avg_inference_ms", "throughput_hz")
AGGREGATES = ("mse", "mae", "avg_inference_ms", "throughput_hz")
MOST_NAMED_TASKS = 3
"""More tasks are counted in the conditions, with a digest of their names."""
ROLLOUT_SETTINGS = ("env", "starts", "success_reward", "env_steps")
"""What a repetition needs besides the seeds and the batch; null: the environment's own."""
ERROR_SUFFIXES = ("_mse", "_mae")
REPLAY_METRICS = {
    "mse": "action_accuracy_l2",
    "mae": "action_accuracy_l1",
    "avg_inference_ms": "inference_latency_mean_ms",
    "throughput_hz": "throughput_hz",
}


def make_summary(result: EvaluationResult) -> dict[str, Any]:
    """Return the object of `eval_results.json`."""
    request = result.request
    return {
        "job_name": request.job_name,
        "policy_repo_id": result.policy["name"],
        "policy_type": result.policy["type"],
        "dataset_repo_id": request.dataset or None,
        "device": result.device,
        "episodes_evaluated": result.episodes,
        **{f"aggregate_{name}": result.replayed and result.replayed.aggregates[name] for name in AGGREGATES},
        "held_out": result.held_out,
        **_summarize_replay(result.replayed),
        "replay": result.replayed
        and {
            "asked": request.replay_episodes,
            "excluded": request.exclude_episodes,
            "held_out": result.held_out,
            "batch": request.eval_batch_size,
        },
        "rollout": result.rolled
        and {
            **{name: getattr(request, name) for name in ROLLOUT_SETTINGS},
            "batch": request.eval_batch_size,
            **result.rolled.summarize(),
        },
        "seed": request.seed,
        "options": list(request.options),
        "conditions": describe_conditions(result),
        "policy": dict(result.policy),
        "packages": dict(result.packages),
        "lock": request.lock or None,
        "peak_memory_mib": result.peak_memory_mib,
        "success_threshold": request.success_threshold,
        "passed": result.passed,
        "status": "completed",
    }


def _summarize_replay(replayed: ReplayResult | None) -> dict[str, Any]:
    """Return the replay's part; `per_episode` of the contract is always a list."""
    if replayed is None:
        return {"frames_evaluated": None, "per_joint": None, "latency_ms": None, "per_episode": []}
    return {
        "frames_evaluated": replayed.frames,
        "frame_mse": replayed.mean_of_frames("mse"),
        "frame_mae": replayed.mean_of_frames("mae"),
        "replay_frames_per_second": replayed.frames / replayed.seconds,
        "per_joint": [
            {
                "name": name,
                "mse": sum(episode.each_mse[name] for episode in replayed.episodes) / len(replayed.episodes),
                "mae": sum(episode.each_mae[name] for episode in replayed.episodes) / len(replayed.episodes),
                "max_error": max(episode.each_max[name] for episode in replayed.episodes),
            }
            for name in replayed.episodes[0].each_mae
        ],
        "latency_ms": asdict(replayed.latency),
        "per_episode": [
            {
                "episode": episode.episode,
                **{name: getattr(episode, name) for name in EPISODE_FIELDS},
                "per_dim_mae": list(episode.each_mae.values()),
            }
            for episode in replayed.episodes
        ],
    }


def describe_conditions(result: EvaluationResult) -> str:
    """Return e.g. `pusht, easy starts, at most 80 steps, success from reward 0.842; 5 held-out episodes of NAME`."""
    request, conditions = result.request, list[str]()
    if result.rolled:
        starts, steps, reward = request.starts, request.env_steps, request.success_reward
        phrase = simulation.summarize_starts(starts) if starts is not None else "default"
        starts_condition = f"{phrase} starts" if phrase.isidentifier() else f"starts {phrase}"
        step_limit_text = "default steps" if steps is None else f"at most {steps} step{'s' * (steps != 1)}"
        success_rule = "default success rule" if reward is None else f"success from reward {reward:g}"
        env = " ".join((request.env, *_describe_tasks(request.tasks)))
        told_texts = {episode.description for episode in result.rolled.episodes if episode.description}
        has_own = simulation.SIMULATED_ENVIRONMENTS[request.env].has_description
        is_own = has_own and len(told_texts) == max(len(request.tasks), 1)
        words = (
            ()
            if is_own and not request.task_description
            else tuple(f"told {phrase!r}" for phrase in sorted(told_texts))
        )
        starts_condition = ", ".join((starts_condition, *words))
        conditions.append(
            ", ".join((env, starts_condition, step_limit_text, success_rule, *_describe_options(request.options)))
        )
    if result.replayed:
        options = [option for option in request.options if option.startswith(POLICY_OPTION)]
        phrase = _describe_replay(result, len(result.replayed.episodes))
        conditions.append(", ".join((phrase, *_describe_options(options))))
    if request.references:  # a rate that ends a comparison is a little too far from the other's
        conditions.append("as many episodes as a comparison needed")
    return "; ".join(conditions)


def _describe_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    if len(tasks) <= MOST_NAMED_TASKS:
        return (" + ".join(tasks),) if tasks else ()
    digest = hashlib.sha256(",".join(tasks).encode()).hexdigest()[:8]
    return (f"{len(tasks)} tasks ({digest})",)


def format_task_table(rolled: RolloutResult) -> Iterator[str]:
    """Yield a line a task: how many of its episodes succeeded, and the 95 % interval of the rate."""
    results_by_task = rolled.by_task
    width = max(map(len, results_by_task), default=0)
    for task, task_result in results_by_task.items():
        lower_bound, upper_bound = task_result.success_interval
        count = f"{task_result.successes} of {task_result.trials}"
        yield f"  {task:{width}}  {count:>8}  {task_result.success_rate:4.0%}  ({lower_bound:.0%} to {upper_bound:.0%})"


def _describe_options(options: Sequence[str]) -> tuple[str, ...]:
    return (f"with {' '.join(options)}",) if options else ()


def _describe_replay(result: EvaluationResult, count: int) -> str:
    request, requested = result.request, result.request.replay_episodes
    selection_text = f" ({requested})" if requested not in (None, ALL, HELD_OUT) else ""
    selection_text += f", without {request.exclude_episodes}," if request.exclude_episodes else ""
    episodes_text = (
        f"{count} {'held-out ' if result.held_out else ''}episode{'s' * (count != 1)}{selection_text} "
        f"of {request.dataset}"
    )
    has_name = request.dataset != DEFAULT_DATASET_NAME or not result.statistics
    digest = "" if has_name else f" (statistics {result.statistics})"
    is_seen = result.held_out is False and result.policy["source"] != BUILTIN_SOURCE
    return episodes_text + digest + (", which training may have seen" if is_seen else "")


def score_episode(episode: ReplayEpisode | RolloutEpisode) -> dict[str, float]:
    """Return the tracked metrics of one episode: of a replay by its number, of a rollout by its index."""
    if isinstance(episode, RolloutEpisode):
        scores = {
            "sum_reward": episode.sum_reward,
            "max_reward": episode.max_reward,
            "success": float(bool(episode.success)),
        }
        return {f"rollout_ep{episode.index}_{name}": score for name, score in scores.items()}
    scores = {f"ep{episode.episode}_{name}": getattr(episode, name) for name in AGGREGATES}
    return {name: score for name, score in scores.items() if not math.isnan(score) or name.endswith(ERROR_SUFFIXES)}


def score_evaluation(result: EvaluationResult) -> dict[str, float]:
    """Return the tracked metrics of the whole evaluation."""
    replayed = result.replayed
    aggregates = {f"aggregate_{name}": value for name, value in replayed.aggregates.items()} if replayed else {}
    return {**aggregates, **compute_scores(result)}


def compute_scores(result: EvaluationResult) -> dict[str, float]:
    """Return the scores of the policy."""
    scores: dict[str, float] = {}
    if replayed := result.replayed:
        scores |= {
            "replay/mse": replayed.mean("mse"),
            "replay/mae": replayed.mean("mae"),
            "replay/latency_p50_ms": replayed.latency.p50,
            "replay/latency_p95_ms": replayed.latency.p95,
            "replay/latency_p99_ms": replayed.latency.p99,
            "replay/throughput_hz": 1000 / replayed.latency.mean,
            "replay/episodes": float(len(replayed.episodes)),
        }
    if rolled := result.rolled:
        scores |= rolled.compute_scores()
    return scores


def make_metrics_report(result: EvaluationResult) -> dict[str, Any]:
    """Return the object of `metrics.json`, without a comparison with an earlier model."""
    metrics: list[JudgedMetric] = []
    if replayed := result.replayed:
        metrics += [JudgedMetric(REPLAY_METRICS[name], value) for name, value in replayed.aggregates.items()]
    if rolled := result.rolled:
        metrics.append(
            JudgedMetric("success_rate", rolled.success_rate, result.request.success_threshold, result.passed)
        )
        metrics.append(JudgedMetric("avg_sum_reward", rolled.mean("sum_reward")))
        metrics.append(JudgedMetric("avg_max_reward", rolled.mean("max_reward")))
        metrics += [
            JudgedMetric(f"success_rate/{task}", task_result.success_rate)
            for task, task_result in rolled.by_task.items()
        ]
    return result_files.make_metrics_report(result.passed, metrics)


def explain_low_success(score: Scored, required: float | None) -> str:
    """Return a sentence if the success rate is below the threshold; else empty."""
    if score.passed is not False or required is None:
        return ""
    trials = round(score.scores["rollout/episodes"])
    return rollout_scores.explain_low_success(score.scores["rollout/success_rate"], trials, required)
