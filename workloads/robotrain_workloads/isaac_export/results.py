"""Results of an export: `export_results.json`, its scores. Standard library only."""

from collections.abc import Mapping
from typing import Any

COMPLETE_FILE = "export_results.json"
SCORED = (
    *("mean_episode_reward", "std_episode_reward", "total_episodes"),
    *("mean_inference_time_ms", "p95_inference_time_ms", "throughput_steps_per_sec"),
)
"""Metrics of a format that become scores. Names: contract, F.4."""


def make_scores(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores by their name in tracking."""
    scores: dict[str, float] = {}
    for name, metrics in content["metrics"].items():
        scores |= {f"{name}/{one}": float(metrics[one]) for one in SCORED if metrics[one] is not None}
    for name, parts in content["comparison"].items():
        scores[f"{name}/max_error"] = max(float(one["max_error"]) for one in parts.values())
    rewards = [value for name, value in scores.items() if name.endswith("/mean_episode_reward")]
    return {**scores, **({"mean_reward": max(rewards)} if rewards else {})}
