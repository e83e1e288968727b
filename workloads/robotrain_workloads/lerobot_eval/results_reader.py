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
from robotrain.report.bars import Bar
from robotrain.report.elements import number
from robotrain.report.results_file import MOST, Outcome, Results, Table

LONGEST = 300
UNITS = "Errors are in the dataset's own units."
HELD_OUT = {
    True: "These episodes were held out from training.",
    False: "The policy may have been trained on these episodes.",
}
LATENCIES = ("mean", "p50", "p95", "p99")

PARTS: Mapping[str, tuple[type, ...]] = {
    "rollout": (dict, NoneType),
    "policy": (dict, NoneType),
    "latency_ms": (dict, NoneType),
    "per_episode": (list, NoneType),
    "per_joint": (list, dict, NoneType),
}
"""What is more than a word or a number; null says that there is none."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """An episode whose recorded actions were compared with the policy's. latency: milliseconds an action."""

    episode: int
    steps: float | None
    mse: float | None
    mae: float | None
    latency: float | None
    throughput: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
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
class Joint:
    """Errors of one number of an action."""

    name: str
    mse: float | None
    mae: float | None
    greatest: float | None


def read_results(content: bytes) -> Results:
    """The file. Raises ValueError for what is no strict JSON object."""
    try:
        data = json.loads(content, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    rollout, policy = _object(data, "rollout"), _object(data, "policy")
    rolled = _rows(rollout.get("per_episode"), _rolled)
    return Results(
        facts=tuple(_facts(data, policy, rollout)),
        values=_values(data, rollout),
        tables=tuple(_tables(data, rollout, rolled)),
        outcomes=tuple(_outcome(one) for one in rolled),
        damaged=tuple(_damaged(data, rollout)),
    )


def _values(data: Mapping[str, Any], rollout: Mapping[str, Any]) -> dict[str, float]:
    found = {f"replay/latency_{name}_ms": value for name, value in _latency(data).items()}
    others = {
        "rollout/avg_length": _number(rollout, "avg_length"),
        "replay/throughput_hz": _number(data, "aggregate_throughput_hz"),
    }
    return found | {name: value for name, value in others.items() if value is not None}


def _tables(data: Mapping[str, Any], rollout: Mapping[str, Any], rolled: Sequence[Rolled]) -> Iterator[Table]:
    """Where the policy acted, and where recorded actions were compared with its own."""
    if rolled:
        environment = _text(rollout, "env")
        yield Table(
            title=f"Episodes in {environment}" if environment else "Episodes",
            head=("episode", "outcome", "greatest reward", "steps", "sum of rewards", "seconds", "seed"),
            rows=tuple(_rolled_row(one) for one in rolled),
        )
    if replayed := _rows(data.get("per_episode"), _replayed):
        joints = _rows(_joints(data.get("per_joint")), _joint)
        held_out = data.get("held_out")
        yield Table(
            title="Recorded episodes",
            head=("episode", "steps", "mse", "mae", "ms an action", "actions a second"),
            rows=tuple(_replayed_row(one) for one in replayed),
            remark=" ".join((HELD_OUT[held_out], UNITS) if isinstance(held_out, bool) else (UNITS,)),
            bars_title="Mean absolute error of each number of an action",
            bars=tuple(Bar(one.name, one.mae, _error(one)) for one in joints if one.mae is not None),
        )


def _outcome(one: Rolled) -> Outcome:
    reward = f"greatest reward {number(one.max_reward)}" if one.max_reward is not None else ""
    seed = int(one.seed) if one.seed is not None else None
    return Outcome(episode=one.index, seed=seed, success=one.success, remark=reward)


def _rolled_row(one: Rolled) -> tuple[str, ...]:
    return (
        str(one.index),
        "" if one.success is None else "success" if one.success else "failure",
        number(one.max_reward),
        number(one.steps),
        number(one.sum_reward),
        number(one.seconds, 3),
        number(one.seed, 12),
    )


def _replayed_row(one: Replayed) -> tuple[str, ...]:
    values = (one.mse, one.mae, one.latency, one.throughput)
    return (str(one.episode), number(one.steps), *(number(value) for value in values))


def _error(one: Joint) -> str:
    return number(one.mae) + (f", at most {number(one.greatest)}" if one.greatest is not None else "")


def _damaged(data: Mapping[str, Any], rollout: Mapping[str, Any]) -> Iterator[str]:
    """Parts that are of another kind."""
    yield from (name for name, kind in PARTS.items() if not isinstance(data.get(name), kind))
    if not isinstance(rollout.get("per_episode"), list | None):
        yield "rollout.per_episode"


def _facts(data: Mapping[str, Any], policy: Mapping[str, Any], rollout: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "policy", _text(data, "policy_repo_id") or _text(policy, "source")
    yield "its type", _text(data, "policy_type") or _text(policy, "type")
    yield "saved at step", _count(_number(policy, "step"))
    yield "its digest", _text(policy, "sha256")
    yield "dataset", _text(data, "dataset_repo_id")
    yield "environment", _text(rollout, "env")
    yield "device", _text(data, "device")


def _replayed(at: int, row: Mapping[str, Any]) -> Replayed:
    return Replayed(
        episode=_index(row, "episode", at),
        steps=_number(row, "steps"),
        mse=_number(row, "mse"),
        mae=_number(row, "mae"),
        latency=_number(row, "avg_inference_ms"),
        throughput=_number(row, "throughput_hz"),
    )


def _rolled(at: int, row: Mapping[str, Any]) -> Rolled:
    success = row.get("success")
    return Rolled(
        index=_index(row, "index", at),
        seed=_number(row, "seed"),
        steps=_number(row, "steps"),
        sum_reward=_number(row, "sum_reward"),
        max_reward=_number(row, "max_reward"),
        success=success if isinstance(success, bool) else None,
        seconds=_number(row, "seconds"),
        video=_text(row, "video"),
    )


def _joint(at: int, row: Mapping[str, Any]) -> Joint:
    name = _text(row, "name") or _text(row, "joint") or str(at)
    return Joint(name=name, mse=_number(row, "mse"), mae=_number(row, "mae"), greatest=_number(row, "max_error"))


def _joints(found: Any) -> Any:
    """A list of them; an object has their names as its keys."""
    if not isinstance(found, dict):
        return found
    return [{"name": name, **(row if isinstance(row, dict) else {"mae": row})} for name, row in found.items()]


def _latency(data: Mapping[str, Any]) -> Mapping[str, float]:
    within = _object(data, "latency_ms")
    found = {name: _number(within, name) for name in LATENCIES}
    if not within:
        found["mean"] = _number(data, "aggregate_avg_inference_ms")
    return {name: value for name, value in found.items() if value is not None}


def _rows(found: Any, read_row: Callable[[int, Mapping[str, Any]], Row]) -> tuple[Row, ...]:
    rows = found[:MOST] if isinstance(found, list) else []
    return tuple(read_row(at, row) for at, row in enumerate(rows) if isinstance(row, dict))


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _text(data: Mapping[str, Any], name: str) -> str:
    found = data.get(name)
    return redact(found, longest=LONGEST) if isinstance(found, str) else ""


def _number(data: Mapping[str, Any], name: str) -> float | None:
    found = data.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return float(found) if math.isfinite(found) else None
    except OverflowError:
        return None


def _index(data: Mapping[str, Any], name: str, at: int) -> int:
    found = _number(data, name)
    return int(found) if found is not None and 0 <= found < 1e9 else at


def _count(value: float | None) -> str:
    return f"{value:.0f}" if value and value < 1e15 else ""


def _no_number(word: str) -> float:
    raise ValueError(f"it holds {word}, for which JSON has no word")
