"""The numbers that tracking and registered versions have, by the names that the contract gives them."""

import math

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.results.found import Found, Replayed, Rolled
from robotrain_workloads.lerobot_eval.results.summary import AGGREGATES
from robotrain_workloads.lerobot_eval.rollout.asked import EpisodeRolled

ERRORS = ("_mse", "_mae")
ROLLED = {"avg_sum_reward": "sum_reward", "avg_max_reward": "max_reward", "avg_length": "steps"}


def of_replayed(one: EpisodeReplayed) -> dict[str, float]:
    """Of one episode, as tracked: its errors in any case, and how quickly the policy answers if it was measured."""
    told = {f"ep{one.episode}_{name}": getattr(one, name) for name in AGGREGATES}
    return {name: value for name, value in told.items() if not math.isnan(value) or name.endswith(ERRORS)}


def of_rolled(one: EpisodeRolled) -> dict[str, float]:
    """Of one episode, as tracked: by its place among the rollouts, which is no number of a recorded one."""
    told = {"sum_reward": one.sum_reward, "max_reward": one.max_reward, "success": float(one.success)}
    return {f"rollout_ep{one.index}_{name}": value for name, value in told.items()}


def of_all(found: Found) -> dict[str, float]:
    """Of the whole evaluation, as tracked."""
    replayed = found.replayed
    aggregates = {f"aggregate_{name}": value for name, value in replayed.aggregates.items()} if replayed else {}
    return {**aggregates, **scores(found)}


def scores(found: Found) -> dict[str, float]:
    """What the policy is worth."""
    replayed = _replayed(found.replayed) if found.replayed else {}
    return {**replayed, **(_rolled(found.rolled) if found.rolled else {})}


def _replayed(replayed: Replayed) -> dict[str, float]:
    return {
        "replay/mse": replayed.mean("mse"),
        "replay/mae": replayed.mean("mae"),
        "replay/latency_p50_ms": replayed.latency.p50,
        "replay/latency_p95_ms": replayed.latency.p95,
        "replay/latency_p99_ms": replayed.latency.p99,
        "replay/throughput_hz": 1000 / replayed.latency.action,
        "replay/episodes": float(len(replayed.episodes)),
    }


def _rolled(rolled: Rolled) -> dict[str, float]:
    low, high = rolled.interval
    return {
        "rollout/success_rate": rolled.rate,
        "rollout/success_rate_low": low,
        "rollout/success_rate_high": high,
        **{f"rollout/{name}": rolled.mean(field) for name, field in ROLLED.items()},
        "rollout/episodes": float(len(rolled.episodes)),
    }
