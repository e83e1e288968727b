"""`eval_results.json`: the whole evaluation as one object, and the conditions under which its scores hold."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from robotrain_workloads.lerobot.parameters import DEFAULT_DATASET_NAME
from robotrain_workloads.lerobot_eval.inputs import simulation
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import POLICY_OPTION
from robotrain_workloads.lerobot_eval.inputs.selection import ALL, BUILTIN_SOURCE, HELD_OUT
from robotrain_workloads.lerobot_eval.results.evaluation import (
    EvaluationResult,
    EvaluationSetup,
    ReplayEpisode,
    ReplayResult,
    RolloutResult,
)

EPISODE_FIELDS = ("steps", "mse", "mae", "max_error", "avg_inference_ms", "throughput_hz")
LATENCY_FIELDS = ("frames", "mean", "p50", "p95", "p99", "max")
AGGREGATES = ("mse", "mae", "avg_inference_ms", "throughput_hz")


def make_summary(result: EvaluationResult) -> dict[str, Any]:
    """The object."""
    about = result.about
    return {
        "job_name": about.job_name,
        "policy_repo_id": about.policy["name"],
        "policy_type": about.policy["type"],
        "dataset_repo_id": about.dataset or None,
        "device": about.device,
        "episodes_evaluated": result.episodes,
        **{f"aggregate_{name}": result.replayed and result.replayed.aggregates[name] for name in AGGREGATES},
        "held_out": about.held_out,
        **_summarize_replay(result.replayed),
        "replay": _make_replay_settings(about) if result.replayed else None,
        "rollout": result.rolled and {**_make_rollout_settings(about), **_summarize_rollout(result.rolled)},
        "seed": about.seed,
        "options": list(about.options),
        "conditions": describe_conditions(result),
        "policy": dict(about.policy),
        "success_threshold": result.threshold,
        "passed": result.passed,
        "status": "completed",
    }


def _make_replay_settings(about: EvaluationSetup) -> dict[str, Any]:
    return {"asked": about.replay_episodes, "held_out": about.held_out, "batch": about.batch}


def _make_rollout_settings(about: EvaluationSetup) -> dict[str, Any]:
    """What it takes to repeat it, beside the seeds. Null: as the environment has it."""
    names = ("env", "starts", "success_reward", "env_steps", "batch")
    return {name: getattr(about, name) for name in names}


def _summarize_replay(replayed: ReplayResult | None) -> dict[str, Any]:
    """per_episode is the contract's: a list also when nothing was replayed."""
    if replayed is None:
        return {"frames_evaluated": None, "per_joint": None, "latency_ms": None, "action_ms": None, "per_episode": []}
    return {
        "frames_evaluated": replayed.frames,
        "frame_mse": replayed.mean_of_frames("mse"),
        "frame_mae": replayed.mean_of_frames("mae"),
        "replay_frames_per_second": replayed.frames / replayed.seconds,
        "per_joint": list(_summarize_joints(replayed)),
        "latency_ms": {name: getattr(replayed.latency, name) for name in LATENCY_FIELDS},
        "action_ms": {"frames": replayed.latency.actions, "mean": replayed.latency.action},
        "per_episode": [_summarize_episode(one) for one in replayed.episodes],
    }


def _summarize_episode(episode: ReplayEpisode) -> dict[str, Any]:
    told = {name: getattr(episode, name) for name in EPISODE_FIELDS}
    return {"episode": episode.episode, **told, "per_dim_mae": list(episode.each_mae.values())}


def _summarize_joints(replayed: ReplayResult) -> Iterator[dict[str, Any]]:
    count = len(replayed.episodes)
    for name in replayed.episodes[0].each_mae:
        yield {
            "name": name,
            "mse": sum(one.each_mse[name] for one in replayed.episodes) / count,
            "mae": sum(one.each_mae[name] for one in replayed.episodes) / count,
            "max_error": max(one.each_max[name] for one in replayed.episodes),
        }


def _summarize_rollout(rolled: RolloutResult) -> dict[str, Any]:
    return {
        "episodes": len(rolled.episodes),
        "successes": rolled.successes,
        "success_rate": rolled.rate,
        "success_interval": list(rolled.interval),
        "avg_sum_reward": rolled.mean("sum_reward"),
        "avg_max_reward": rolled.mean("max_reward"),
        "avg_length": rolled.mean("steps"),
        "seeds": [one.seed for one in rolled.episodes],
        "per_episode": [dataclasses.asdict(one) for one in rolled.episodes],
    }


def describe_conditions(result: EvaluationResult) -> str:
    """As `pusht, easy starts, at most 80 steps, success from reward 0.842; 5 held-out episodes of pusht-mini`."""
    return "; ".join(_list_conditions(result))


def _list_conditions(result: EvaluationResult) -> Iterator[str]:
    about = result.about
    if result.rolled:
        said = (about.env, _describe_start_condition(about), _describe_steps(about), _describe_success(about))
        yield ", ".join((*said, *_describe_options(about.options)))
    if result.replayed:
        options = [one for one in about.options if one.startswith(POLICY_OPTION)]
        yield ", ".join((_describe_replay(about, len(result.replayed.episodes)), *_describe_options(options)))


def _describe_options(options: Sequence[str]) -> Iterator[str]:
    if options:
        yield f"with {' '.join(options)}"


def _describe_start_condition(about: EvaluationSetup) -> str:
    if about.starts is None:
        return "its own starts"
    said = simulation.summarize_starts(about.starts)
    return f"{said} starts" if said.isidentifier() else f"starts {said}"


def _describe_steps(about: EvaluationSetup) -> str:
    if about.env_steps is None:
        return "as many steps as it has"
    return f"at most {about.env_steps} step{'s' * (about.env_steps != 1)}"


def _describe_success(about: EvaluationSetup) -> str:
    return "success as it says" if about.success_reward is None else f"success from reward {about.success_reward:g}"


def _describe_replay(about: EvaluationSetup, count: int) -> str:
    asked = about.replay_episodes
    which = f" ({asked})" if asked not in (None, ALL, HELD_OUT) else ""
    said = f"{count} {'held-out ' if about.held_out else ''}episode{'s' * (count != 1)}{which} of {about.dataset}"
    digest = f" (statistics {about.statistics})" if about.dataset == DEFAULT_DATASET_NAME and about.statistics else ""
    seen = (
        ", which training may have seen" if about.held_out is False and about.policy["source"] != BUILTIN_SOURCE else ""
    )
    return said + digest + seen
