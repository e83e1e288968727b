"""Reader of `eval_results.json` for reports.

The file comes from other machines: invalid parts are left out, and sizes are limited.
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
"""Types of nested parts; null means none."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRow:
    """An episode in which recorded actions were compared with the policy's."""

    episode: int
    steps: float | None
    mse: float | None
    mae: float | None
    latency: float | None
    """Milliseconds an action."""
    throughput: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """An episode in which the policy acted."""

    index: int
    seed: float | None
    steps: float | None
    sum_reward: float | None
    max_reward: float | None
    success: bool | None
    seconds: float | None
    video: str
    """A file below the results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointRow:
    """Errors of one dimension of an action."""

    name: str
    mse: float | None
    mae: float | None
    max_error: float | None


def read_results(content: bytes) -> EvaluationResults:
    """Return the results. Raise ValueError unless `content` is a strict JSON object."""
    try:
        data = json.loads(content, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    rollout, policy = _get_object(data, "rollout"), _get_object(data, "policy")
    rolled = _parse_rows(rollout.get("per_episode"), _parse_rollout_row)
    return EvaluationResults(
        facts=tuple(_list_facts(data, policy, rollout)),
        values=_read_values(data, rollout),
        tables=tuple(_make_tables(data, rollout, rolled)),
        outcomes=tuple(_make_outcome(row) for row in rolled),
        damaged=tuple(_find_damaged_parts(data, rollout)),
    )


def _read_values(data: Mapping[str, Any], rollout: Mapping[str, Any]) -> dict[str, float]:
    latencies = {f"replay/latency_{name}_ms": value for name, value in _read_latencies(data).items()}
    others = {
        "rollout/avg_length": _get_number(rollout, "avg_length"),
        "replay/throughput_hz": _get_number(data, "aggregate_throughput_hz"),
    }
    return latencies | {name: value for name, value in others.items() if value is not None}


def _make_tables(
    data: Mapping[str, Any], rollout: Mapping[str, Any], rolled: Sequence[RolloutRow]
) -> Iterator[ResultsTable]:
    """Yield the tables of rollouts and replayed episodes."""
    if rolled:
        environment = _get_text(rollout, "env")
        yield ResultsTable(
            title=f"Episodes in {environment}" if environment else "Episodes",
            head=("episode", "outcome", "greatest reward", "steps", "sum of rewards", "seconds", "seed"),
            rows=tuple(_format_rollout_row(row) for row in rolled),
        )
    if replayed := _parse_rows(data.get("per_episode"), _parse_replay_row):
        joints = _parse_rows(_list_joints(data.get("per_joint")), _parse_joint_row)
        held_out = data.get("held_out")
        yield ResultsTable(
            title="Recorded episodes",
            head=("episode", "steps", "mse", "mae", "ms/action", "actions/s"),
            rows=tuple(_format_replay_row(row) for row in replayed),
            remark=" ".join((HELD_OUT_NOTES[held_out], ERRORS_NOTE) if isinstance(held_out, bool) else (ERRORS_NOTE,)),
            bars_title="Mean absolute error of each action dimension",
            bars=tuple(Bar(row.name, row.mae, _format_error(row)) for row in joints if row.mae is not None),
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
    """Yield the names of parts of a wrong type."""
    yield from (name for name, kind in PART_TYPES.items() if not isinstance(data.get(name), kind))
    if not isinstance(rollout.get("per_episode"), list | None):
        yield "rollout.per_episode"


def _list_facts(
    data: Mapping[str, Any], policy: Mapping[str, Any], rollout: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    yield "policy", _get_text(data, "policy_repo_id") or _get_text(policy, "source")
    yield "policy type", _get_text(data, "policy_type") or _get_text(policy, "type")
    yield "policy step", _format_count(_get_number(policy, "step"))
    yield "policy digest", _get_text(policy, "sha256")
    yield "dataset", _get_text(data, "dataset_repo_id")
    yield "environment", _get_text(rollout, "env")
    yield "device", _get_text(data, "device")


def _parse_replay_row(position: int, row: Mapping[str, Any]) -> ReplayRow:
    return ReplayRow(
        episode=_get_index(row, "episode", position),
        steps=_get_number(row, "steps"),
        mse=_get_number(row, "mse"),
        mae=_get_number(row, "mae"),
        latency=_get_number(row, "avg_inference_ms"),
        throughput=_get_number(row, "throughput_hz"),
    )


def _parse_rollout_row(position: int, row: Mapping[str, Any]) -> RolloutRow:
    success = row.get("success")
    return RolloutRow(
        index=_get_index(row, "index", position),
        seed=_get_number(row, "seed"),
        steps=_get_number(row, "steps"),
        sum_reward=_get_number(row, "sum_reward"),
        max_reward=_get_number(row, "max_reward"),
        success=success if isinstance(success, bool) else None,
        seconds=_get_number(row, "seconds"),
        video=_get_text(row, "video"),
    )


def _parse_joint_row(position: int, row: Mapping[str, Any]) -> JointRow:
    name = _get_text(row, "name") or _get_text(row, "joint") or str(position)
    return JointRow(
        name=name, mse=_get_number(row, "mse"), mae=_get_number(row, "mae"), max_error=_get_number(row, "max_error")
    )


def _list_joints(value: Any) -> Any:
    """Return the rows as a list; an object has the names as its keys."""
    if not isinstance(value, dict):
        return value
    return [{"name": name, **(row if isinstance(row, dict) else {"mae": row})} for name, row in value.items()]


def _read_latencies(data: Mapping[str, Any]) -> Mapping[str, float]:
    latencies = _get_object(data, "latency_ms")
    values = {name: _get_number(latencies, name) for name in LATENCIES}
    if not latencies:
        values["mean"] = _get_number(data, "aggregate_avg_inference_ms")
    return {name: value for name, value in values.items() if value is not None}


def _parse_rows(value: Any, read_row: Callable[[int, Mapping[str, Any]], Row]) -> tuple[Row, ...]:
    rows = value[:MAX_ROWS] if isinstance(value, list) else []
    return tuple(read_row(position, row) for position, row in enumerate(rows) if isinstance(row, dict))


def _get_object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _get_text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return redact(value, max_length=LONGEST_TEXT) if isinstance(value, str) else ""


def _get_number(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _get_index(data: Mapping[str, Any], name: str, default: int) -> int:
    number = _get_number(data, name)
    return int(number) if number is not None and 0 <= number < 1e9 else default


def _format_count(value: float | None) -> str:
    return f"{value:.0f}" if value and value < 1e15 else ""


def _reject_constant(word: str) -> float:
    raise ValueError(f"it has the value {word}, which is not JSON")
