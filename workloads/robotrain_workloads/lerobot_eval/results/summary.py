"""`eval_results.json`: everything in one object. What one way of evaluating does not know is null."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results import conditions
from robotrain_workloads.lerobot_eval.results.found import About, Found, Replayed, Rolled

EACH = ("steps", "mse", "mae", "max_error", "avg_inference_ms", "throughput_hz")
LATENCY = ("frames", "mean", "p50", "p95", "p99", "max")
AGGREGATES = ("mse", "mae", "avg_inference_ms", "throughput_hz")


def of(found: Found) -> dict[str, Any]:
    """The object."""
    about = found.about
    return {
        "job_name": about.job_name,
        "policy_repo_id": about.policy["name"],
        "policy_type": about.policy["type"],
        "dataset_repo_id": about.dataset or None,
        "device": about.device,
        "episodes_evaluated": found.episodes,
        **{f"aggregate_{name}": found.replayed and found.replayed.aggregates[name] for name in AGGREGATES},
        "held_out": about.held_out,
        **_replay(found.replayed),
        "replay": _asked_of_replay(about) if found.replayed else None,
        "rollout": found.rolled and {**_asked_of_rollout(about), **_rollout(found.rolled)},
        "seed": about.seed,
        "options": list(about.options),
        "conditions": conditions.of(found),
        "policy": dict(about.policy),
        "success_threshold": found.threshold,
        "passed": found.passed,
        "status": "completed",
    }


def _asked_of_replay(about: About) -> dict[str, Any]:
    return {"asked": about.replay_episodes, "held_out": about.held_out, "batch": about.batch}


def _asked_of_rollout(about: About) -> dict[str, Any]:
    """What it takes to repeat it, beside the seeds. Null: as the environment has it."""
    names = ("env", "starts", "success_reward", "env_steps", "batch")
    return {name: getattr(about, name) for name in names}


def _replay(replayed: Replayed | None) -> dict[str, Any]:
    """per_episode is the contract's: a list also when nothing was replayed."""
    if replayed is None:
        return {"frames_evaluated": None, "per_joint": None, "latency_ms": None, "action_ms": None, "per_episode": []}
    return {
        "frames_evaluated": replayed.frames,
        "frame_mse": replayed.mean_of_frames("mse"),
        "frame_mae": replayed.mean_of_frames("mae"),
        "replay_frames_per_second": replayed.frames / replayed.seconds,
        "per_joint": list(_joints(replayed)),
        "latency_ms": {name: getattr(replayed.latency, name) for name in LATENCY},
        "action_ms": {"frames": replayed.latency.actions, "mean": replayed.latency.action},
        "per_episode": [_episode(one) for one in replayed.episodes],
    }


def _episode(one: EpisodeReplayed) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in EACH}
    return {"episode": one.episode, **told, "per_dim_mae": list(one.each_mae.values())}


def _joints(replayed: Replayed) -> Iterator[dict[str, Any]]:
    count = len(replayed.episodes)
    for name in replayed.episodes[0].each_mae:
        yield {
            "name": name,
            "mse": sum(one.each_mse[name] for one in replayed.episodes) / count,
            "mae": sum(one.each_mae[name] for one in replayed.episodes) / count,
            "max_error": max(one.each_max[name] for one in replayed.episodes),
        }


def _rollout(rolled: Rolled) -> dict[str, Any]:
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
