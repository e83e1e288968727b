"""Read `eval_results.json` for reports. It comes from afar: whatever is not as it should be is left out, and nothing is
so large that a page could not hold it.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeVar

from robotrain.redaction import redact
from robotrain.report.charts import Bar
from robotrain.report.elements import format_number
from robotrain.report.evaluation import MAX_ROWS, EpisodeOutcome, EvaluationResults, ResultsTable

LONGEST_TEXT = 300
ERRORS_NOTE = "Errors are in the dataset's own units."
HELD_OUT_NOTES = {
    True: "These episodes were held out from training.",
    False: "The policy may have been trained on these episodes.",
}
LATENCIES = ("mean", "p50", "p95", "p99")

PART_TYPES: Mapping[str, tuple[type, ...]] = {
    "rollout": (dict, NoneType),
    "policy": (dict, NoneType),
    "latency_ms": (dict, NoneType),
    "per_episode": (list, NoneType),
    "per_joint": (list, dict, NoneType),
}
"""What is more than a word or a number; null says that there is none."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRow:
    """An episode whose recorded actions were compared with the policy's. latency: milliseconds an action."""

    episode: int
    steps: float | None
    mse: float | None
    mae: float | None
    latency: float | None
    throughput: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """An episode in which the policy acted. video: a file below the results."""

    index: int
    seed: float | None
    steps: float | None
    sum_reward: float | None
    max_reward: float | None
    success: bool | None
    seconds: float | None
    video: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JointRow:
    """Errors of one number of an action."""

    name: str
    mse: float | None
    mae: float | None
    max_error: float | None


def read_results(content: bytes) -> EvaluationResults:
    """The file. Raises ValueError for what is no strict JSON object."""
    try:
        data = json.loads(content, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    rollout, policy = _get_object(data, "rollout"), _get_object(data, "policy")
    rolled = _parse_rows(rollout.get("per_episode"), _parse_rollout_row)
    return EvaluationResults(
        facts=tuple(_list_facts(data, policy, rollout)),
        values=_read_values(data, rollout),
        tables=tuple(_make_tables(data, rollout, rolled)),
        outcomes=tuple(_make_outcome(one) for one in rolled),
        damaged=tuple(_find_damaged_parts(data, rollout)),
    )


def _read_values(data: Mapping[str, Any], rollout: Mapping[str, Any]) -> dict[str, float]:
    found = {f"replay/latency_{name}_ms": value for name, value in _read_latencies(data).items()}
    others = {
        "rollout/avg_length": _get_number(rollout, "avg_length"),
        "replay/throughput_hz": _get_number(data, "aggregate_throughput_hz"),
    }
    return found | {name: value for name, value in others.items() if value is not None}


def _make_tables(
    data: Mapping[str, Any], rollout: Mapping[str, Any], rolled: Sequence[RolloutRow]
) -> Iterator[ResultsTable]:
    """Where the policy acted, and where recorded actions were compared with its own."""
    if rolled:
        environment = _get_text(rollout, "env")
        yield ResultsTable(
            title=f"Episodes in {environment}" if environment else "Episodes",
            head=("episode", "outcome", "greatest reward", "steps", "sum of rewards", "seconds", "seed"),
            rows=tuple(_format_rollout_row(one) for one in rolled),
        )
    if replayed := _parse_rows(data.get("per_episode"), _parse_replay_row):
        joints = _parse_rows(_list_joints(data.get("per_joint")), _parse_joint_row)
        held_out = data.get("held_out")
        yield ResultsTable(
            title="Recorded episodes",
            head=("episode", "steps", "mse", "mae", "ms an action", "actions a second"),
            rows=tuple(_format_replay_row(one) for one in replayed),
            remark=" ".join((HELD_OUT_NOTES[held_out], ERRORS_NOTE) if isinstance(held_out, bool) else (ERRORS_NOTE,)),
            bars_title="Mean absolute error of each number of an action",
            bars=tuple(Bar(one.name, one.mae, _format_error(one)) for one in joints if one.mae is not None),
        )


def _make_outcome(episode: RolloutRow) -> EpisodeOutcome:
    reward = f"greatest reward {format_number(episode.max_reward)}" if episode.max_reward is not None else ""
    seed = int(episode.seed) if episode.seed is not None else None
    return EpisodeOutcome(episode=episode.index, seed=seed, success=episode.success, remark=reward)


def _format_rollout_row(episode: RolloutRow) -> tuple[str, ...]:
    return (
        str(episode.index),
        "" if episode.success is None else "success" if episode.success else "failure",
        format_number(episode.max_reward),
        format_number(episode.steps),
        format_number(episode.sum_reward),
        format_number(episode.seconds, 3),
        format_number(episode.seed, 12),
    )


def _format_replay_row(episode: ReplayRow) -> tuple[str, ...]:
    values = (episode.mse, episode.mae, episode.latency, episode.throughput)
    return (str(episode.episode), format_number(episode.steps), *(format_number(value) for value in values))


def _format_error(joint: JointRow) -> str:
    return format_number(joint.mae) + (
        f", at most {format_number(joint.max_error)}" if joint.max_error is not None else ""
    )


def _find_damaged_parts(data: Mapping[str, Any], rollout: Mapping[str, Any]) -> Iterator[str]:
    """Parts that are of another kind."""
    yield from (name for name, kind in PART_TYPES.items() if not isinstance(data.get(name), kind))
    if not isinstance(rollout.get("per_episode"), list | None):
        yield "rollout.per_episode"


def _list_facts(
    data: Mapping[str, Any], policy: Mapping[str, Any], rollout: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    yield "policy", _get_text(data, "policy_repo_id") or _get_text(policy, "source")
    yield "its type", _get_text(data, "policy_type") or _get_text(policy, "type")
    yield "saved at step", _format_count(_get_number(policy, "step"))
    yield "its digest", _get_text(policy, "sha256")
    yield "dataset", _get_text(data, "dataset_repo_id")
    yield "environment", _get_text(rollout, "env")
    yield "device", _get_text(data, "device")


def _parse_replay_row(at: int, row: Mapping[str, Any]) -> ReplayRow:
    return ReplayRow(
        episode=_get_index(row, "episode", at),
        steps=_get_number(row, "steps"),
        mse=_get_number(row, "mse"),
        mae=_get_number(row, "mae"),
        latency=_get_number(row, "avg_inference_ms"),
        throughput=_get_number(row, "throughput_hz"),
    )


def _parse_rollout_row(at: int, row: Mapping[str, Any]) -> RolloutRow:
    success = row.get("success")
    return RolloutRow(
        index=_get_index(row, "index", at),
        seed=_get_number(row, "seed"),
        steps=_get_number(row, "steps"),
        sum_reward=_get_number(row, "sum_reward"),
        max_reward=_get_number(row, "max_reward"),
        success=success if isinstance(success, bool) else None,
        seconds=_get_number(row, "seconds"),
        video=_get_text(row, "video"),
    )


def _parse_joint_row(at: int, row: Mapping[str, Any]) -> JointRow:
    name = _get_text(row, "name") or _get_text(row, "joint") or str(at)
    return JointRow(
        name=name, mse=_get_number(row, "mse"), mae=_get_number(row, "mae"), max_error=_get_number(row, "max_error")
    )


def _list_joints(value: Any) -> Any:
    """A list of them; an object has their names as its keys."""
    if not isinstance(value, dict):
        return value
    return [{"name": name, **(row if isinstance(row, dict) else {"mae": row})} for name, row in value.items()]


def _read_latencies(data: Mapping[str, Any]) -> Mapping[str, float]:
    within = _get_object(data, "latency_ms")
    found = {name: _get_number(within, name) for name in LATENCIES}
    if not within:
        found["mean"] = _get_number(data, "aggregate_avg_inference_ms")
    return {name: value for name, value in found.items() if value is not None}


def _parse_rows(value: Any, read_row: Callable[[int, Mapping[str, Any]], Row]) -> tuple[Row, ...]:
    rows = value[:MAX_ROWS] if isinstance(value, list) else []
    return tuple(read_row(at, row) for at, row in enumerate(rows) if isinstance(row, dict))


def _get_object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _get_text(data: Mapping[str, Any], name: str) -> str:
    found = data.get(name)
    return redact(found, max_length=LONGEST_TEXT) if isinstance(found, str) else ""


def _get_number(data: Mapping[str, Any], name: str) -> float | None:
    found = data.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return float(found) if math.isfinite(found) else None
    except OverflowError:
        return None


def _get_index(data: Mapping[str, Any], name: str, at: int) -> int:
    found = _get_number(data, name)
    return int(found) if found is not None and 0 <= found < 1e9 else at


def _format_count(value: float | None) -> str:
    return f"{value:.0f}" if value and value < 1e15 else ""


def _reject_constant(word: str) -> float:
    raise ValueError(f"it holds {word}, for which JSON has no word")
