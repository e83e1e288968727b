"""`eval_results.json`: the evaluation as one object, and the conditions of its scores."""

from collections.abc import Iterator, Sequence
from typing import Any

from robotrain_workloads.lerobot.parameters import DEFAULT_DATASET_NAME
from robotrain_workloads.lerobot_eval.inputs import simulation
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import POLICY_OPTION
from robotrain_workloads.lerobot_eval.inputs.selection import ALL, BUILTIN_SOURCE, HELD_OUT
from robotrain_workloads.lerobot_eval.results.evaluation import (
    EvaluationResult,
    EvaluationSetup,
    ReplayResult,
)

EPISODE_FIELDS = ("steps", "mse", "mae", "max_error", "avg_inference_ms", "throughput_hz")
LATENCY_FIELDS = ("frames", "mean", "p50", "p95", "p99", "max")
AGGREGATES = ("mse", "mae", "avg_inference_ms", "throughput_hz")
ROLLOUT_SETTINGS = ("env", "starts", "success_reward", "env_steps", "batch")
"""What a repetition needs besides the seeds; null: the environment's own."""


def make_summary(result: EvaluationResult) -> dict[str, Any]:
    """Return the object of `eval_results.json`."""
    setup = result.about
    return {
        "job_name": setup.job_name,
        "policy_repo_id": setup.policy["name"],
        "policy_type": setup.policy["type"],
        "dataset_repo_id": setup.dataset or None,
        "device": setup.device,
        "episodes_evaluated": result.episodes,
        **{f"aggregate_{name}": result.replayed and result.replayed.aggregates[name] for name in AGGREGATES},
        "held_out": setup.held_out,
        **_summarize_replay(result.replayed),
        "replay": result.replayed
        and {"asked": setup.replay_episodes, "held_out": setup.held_out, "batch": setup.batch},
        "rollout": result.rolled
        and {**{name: getattr(setup, name) for name in ROLLOUT_SETTINGS}, **result.rolled.summarize()},
        "seed": setup.seed,
        "options": list(setup.options),
        "conditions": describe_conditions(result),
        "policy": dict(setup.policy),
        "success_threshold": result.threshold,
        "passed": result.passed,
        "status": "completed",
    }


def _summarize_replay(replayed: ReplayResult | None) -> dict[str, Any]:
    """Return the replay's part; `per_episode` of the contract is always a list."""
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
        "per_episode": [
            {
                "episode": episode.episode,
                **{name: getattr(episode, name) for name in EPISODE_FIELDS},
                "per_dim_mae": list(episode.each_mae.values()),
            }
            for episode in replayed.episodes
        ],
    }


def _summarize_joints(replayed: ReplayResult) -> Iterator[dict[str, Any]]:
    count = len(replayed.episodes)
    for name in replayed.episodes[0].each_mae:
        yield {
            "name": name,
            "mse": sum(episode.each_mse[name] for episode in replayed.episodes) / count,
            "mae": sum(episode.each_mae[name] for episode in replayed.episodes) / count,
            "max_error": max(episode.each_max[name] for episode in replayed.episodes),
        }


def describe_conditions(result: EvaluationResult) -> str:
    """Return e.g. `pusht, easy starts, at most 80 steps, success from reward 0.842; 5 held-out episodes of NAME`."""
    return "; ".join(_list_conditions(result))


def _list_conditions(result: EvaluationResult) -> Iterator[str]:
    setup = result.about
    if result.rolled:
        steps, reward = setup.env_steps, setup.success_reward
        limit = "default steps" if steps is None else f"at most {steps} step{'s' * (steps != 1)}"
        rule = "default success rule" if reward is None else f"success from reward {reward:g}"
        parts = (setup.env, _describe_start_condition(setup), limit, rule)
        yield ", ".join((*parts, *_describe_options(setup.options)))
    if result.replayed:
        options = [option for option in setup.options if option.startswith(POLICY_OPTION)]
        yield ", ".join((_describe_replay(setup, len(result.replayed.episodes)), *_describe_options(options)))


def _describe_options(options: Sequence[str]) -> tuple[str, ...]:
    return (f"with {' '.join(options)}",) if options else ()


def _describe_start_condition(setup: EvaluationSetup) -> str:
    if setup.starts is None:
        return "default starts"
    text = simulation.summarize_starts(setup.starts)
    return f"{text} starts" if text.isidentifier() else f"starts {text}"


def _describe_replay(setup: EvaluationSetup, count: int) -> str:
    requested = setup.replay_episodes
    which = f" ({requested})" if requested not in (None, ALL, HELD_OUT) else ""
    text = f"{count} {'held-out ' if setup.held_out else ''}episode{'s' * (count != 1)}{which} of {setup.dataset}"
    digest = f" (statistics {setup.statistics})" if setup.dataset == DEFAULT_DATASET_NAME and setup.statistics else ""
    is_seen = setup.held_out is False and setup.policy["source"] != BUILTIN_SOURCE
    return text + digest + (", which training may have seen" if is_seen else "")
