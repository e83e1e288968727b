"""Reader of `eval_results.json` for reports.

The file comes from other machines: invalid parts are left out, and sizes are limited.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any

from robotrain.model import scores
from robotrain.redaction import redact
from robotrain.report.charts import Bar
from robotrain.report.evaluation import MAX_ROWS, EpisodeOutcome, EvaluationResults, ResultsTable, format_number

LONGEST_TEXT = 300
MAX_EPISODES = 20_000
"""How many episodes count; as rows of a table fewer are shown."""
ERRORS_NOTE = "Errors are in the dataset's own units."
LATENCY_NOTE = (
    "ms/action is the mean of all actions, also of those that the policy takes from its last chunk; the latencies "
    "are of the actions for which its network ran."
)
VIDEO_NOTES = {
    "pusht": "The red cross in a video is the newest action, the blue dot the robot. In the first picture of an "
    "episode the cross is still that of the episode before, if there was one."
}
"""What an environment draws into its pictures."""
HELD_OUT_NOTES = {
    True: "These episodes were held out from training.",
    False: "The policy may have been trained on these episodes.",
}
LATENCIES = ("mean", "p50", "p95", "p99")
REPLAY_COLUMNS = ("steps", "mse", "mae", "avg_inference_ms", "throughput_hz")

PART_TYPES: Mapping[str, tuple[type, ...]] = {
    "rollout": (dict, NoneType),
    "policy": (dict, NoneType),
    "latency_ms": (dict, NoneType),
    "per_episode": (list, NoneType),
    "per_joint": (list, NoneType),
}
"""Types of nested parts; null means none."""

Row = Mapping[str, Any]
Rows = Sequence[tuple[int, Row]]
"""With their positions in the file."""


def read_results(content: bytes) -> EvaluationResults:
    """Return the results. Raise ValueError unless `content` is a strict JSON object."""
    try:
        results = json.loads(content, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(results, dict):
        raise ValueError("it is not an object")
    rollout = get_object(results, "rollout")
    policy = get_object(results, "policy")
    played_rows = _list_rows(rollout.get("per_episode"), MAX_EPISODES)
    rolled_rows = played_rows[:MAX_ROWS]
    latencies = get_object(results, "latency_ms")
    values_by_metric = {f"replay/latency_{name}_ms": get_number(latencies, name) for name in LATENCIES}
    values_by_metric["rollout/avg_length"] = get_number(rollout, "avg_length")
    values_by_metric["replay/throughput_hz"] = get_number(results, "aggregate_throughput_hz")
    damaged_parts = [name for name, kind in PART_TYPES.items() if not isinstance(results.get(name), kind)]
    if not isinstance(rollout.get("per_episode"), list | None):
        damaged_parts.append("rollout.per_episode")
    if not isinstance(rollout.get("tasks"), list | None):
        damaged_parts.append("rollout.tasks")
    return EvaluationResults(
        facts=tuple(_list_facts(results, policy, rollout)),
        values={name: value for name, value in values_by_metric.items() if value is not None},
        tables=tuple(_make_tables(results, rollout, rolled_rows)),
        outcomes=tuple(_make_outcome(index, row) for index, row in played_rows),
        video_note=VIDEO_NOTES.get(_get_text(rollout, "env"), "")
        if any(row.get("video") for _, row in rolled_rows)
        else "",
        policy=_describe_policy(results, policy, rollout),
        conditions=_describe_conditions(results, rollout),
        damaged=tuple(damaged_parts),
    )


def _describe_policy(data: Row, policy: Row, rollout: Row) -> dict[str, Any]:
    latency = get_object(rollout, "latency_ms") or get_object(data, "latency_ms")
    return {
        **{name: _get_text(policy, name) or None for name in ("source", "name", "pin", "type", "sha256")},
        **{name: _get_count(rollout, name) for name in ("episodes", "trials", "successes")},
        "success_rate": get_number(rollout, "success_rate"),
        "success_interval": _list_numbers(rollout.get("success_interval")) or None,
        "step": _get_count(policy, "step"),
        "score": get_number(rollout, "avg_max_reward"),
        "latency_ms": {name: get_number(latency, name) for name in ("p50", "p95")} if latency else None,
        "peak_memory_mib": get_number(data, "peak_memory_mib"),
    }


def _describe_conditions(data: Row, rollout: Row) -> dict[str, Any]:
    packages = get_object(data, "packages")
    options = data.get("options")
    return {
        "text": _get_text(data, "conditions").partition("; ")[0] or None,
        "env": _get_text(rollout, "env") or None,
        "tasks": [_get_text(row, "task") for _, row in _list_rows(rollout.get("tasks"))],
        "starts": _get_text(rollout, "starts") or None,
        "success_reward": get_number(rollout, "success_reward"),
        **{name: _get_count(rollout, name) for name in ("env_steps", "batch", "episodes")},
        "seed": _get_count(data, "seed"),
        "first_seed": next(map(int, _list_numbers(rollout.get("seeds"))), None),
        "options": [redact(str(option)) for option in options] if isinstance(options, list) else None,
        "lock": _get_text(data, "lock") or None,
        "packages": {name: _get_text(packages, name) for name in packages} or None,
        "device": _get_text(data, "device") or None,
    }


def _list_numbers(values: Any) -> list[float]:
    numbers = [get_number({"value": value}, "value") for value in values] if isinstance(values, list) else []
    return [value for value in numbers if value is not None]


def _make_tables(results: Mapping[str, Any], rollout: Mapping[str, Any], rolled_rows: Rows) -> Iterator[ResultsTable]:
    environment = _get_text(rollout, "env")
    if tasks := _list_rows(rollout.get("tasks")):
        yield ResultsTable(
            title=f"Tasks of {environment}" if environment else "Tasks",
            head=("task", "success", "95% interval", "greatest reward", "steps", "in words"),
            rows=tuple(_format_task_row(row) for _, row in tasks),
        )
    if rolled_rows:
        has_tasks = any(_get_text(row, "task") for _, row in rolled_rows)
        yield ResultsTable(
            title=f"Episodes in {environment}" if environment else "Episodes",
            head=(
                "episode",
                *(("task",) if has_tasks else ()),
                "outcome",
                "greatest reward",
                "steps",
                "sum of rewards",
                "seconds",
                "seed",
            ),
            rows=tuple(_format_rollout_row(index, row, has_tasks) for index, row in rolled_rows),
        )
    if replayed := _list_rows(results.get("per_episode")):
        held_out = results.get("held_out")
        yield ResultsTable(
            title="Recorded episodes",
            head=("episode", "steps", "mse", "mae", "ms/action", "actions/s"),
            rows=tuple(
                (
                    str(_get_index(row, "episode", index)),
                    *(format_number(get_number(row, name)) for name in REPLAY_COLUMNS),
                )
                for index, row in replayed
            ),
            remark=" ".join(
                [*([HELD_OUT_NOTES[held_out]] if isinstance(held_out, bool) else []), ERRORS_NOTE, LATENCY_NOTE]
            ),
            bars_title="Mean absolute error of each action dimension",
            bars=tuple(_make_joint_bars(results.get("per_joint"))),
        )


def _make_outcome(index: int, row: Row) -> EpisodeOutcome:
    reward = get_number(row, "max_reward")
    seed = get_number(row, "seed")
    success = row.get("success")
    trial = get_number(row, "trial")
    outcome_parts = [f"greatest reward {format_number(reward)}"] if reward is not None else []
    return EpisodeOutcome(
        episode=_get_index(row, "index", index),
        seed=int(seed) if seed is not None else None,
        trial=int(trial) if trial is not None else None,
        task=_get_text(row, "task"),
        success=success if isinstance(success, bool) else None,
        score=reward,
        remark=", ".join((*filter(None, [_get_text(row, "task")]), *outcome_parts)),
    )


def _format_task_row(row: Row) -> tuple[str, ...]:
    successes, episodes, rate = (get_number(row, name) for name in ("successes", "trials", "success_rate"))
    interval = row.get("success_interval")
    ends = [get_number({"end": end}, "end") for end in interval] if isinstance(interval, list) else []
    lower_bound, upper_bound = ends if len(ends) == 2 else (None, None)
    count = f"{successes:.0f} of {episodes:.0f}" if successes is not None and episodes is not None else ""
    return (
        _get_text(row, "task"),
        f"{count}, {rate:.0%}" if count and rate is not None else count,
        scores.format_share_bounds(lower_bound, upper_bound),
        format_number(get_number(row, "avg_max_reward")),
        format_number(get_number(row, "avg_length")),
        _get_text(row, "description"),
    )


def _format_rollout_row(index: int, row: Row, has_tasks: bool) -> tuple[str, ...]:
    success = row.get("success")
    return (
        str(_get_index(row, "index", index)),
        *((_get_text(row, "task"),) if has_tasks else ()),
        ("success" if success else "failure") if isinstance(success, bool) else "",
        *(format_number(get_number(row, name)) for name in ("max_reward", "steps", "sum_reward")),
        format_number(get_number(row, "seconds"), 3),
        format_number(get_number(row, "seed"), 12),
    )


def _make_joint_bars(joints: Any) -> Iterator[Bar]:
    for index, row in _list_rows(joints):
        name = _get_text(row, "name") or str(index)
        error = get_number(row, "mae")
        largest_error = get_number(row, "max_error")
        if error is not None:
            largest_text = f", at most {format_number(largest_error)}" if largest_error is not None else ""
            yield Bar(name, error, format_number(error) + largest_text)


def _list_facts(
    results: Mapping[str, Any], policy: Mapping[str, Any], rollout: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    yield "policy", _get_text(results, "policy_repo_id") or _get_text(policy, "source")
    yield "policy type", _get_text(results, "policy_type") or _get_text(policy, "type")
    step = get_number(policy, "step")
    yield "policy step", f"{step:.0f}" if step and step < 1e15 else ""
    yield "policy digest", _get_text(policy, "sha256")
    yield "dataset", _get_text(results, "dataset_repo_id")
    yield "environment", _get_text(rollout, "env")
    played_episodes = get_number(rollout, "episodes")
    trials = get_number(rollout, "trials")
    repeats = played_episodes and trials and trials < played_episodes
    yield "episodes that count", f"{trials:.0f} of {played_episodes:.0f}: the others repeat a start" if repeats else ""
    yield "device", _get_text(results, "device")


def _list_rows(value: Any, most: int = MAX_ROWS) -> Rows:
    rows = value[:most] if isinstance(value, list) else []
    return [(index, row) for index, row in enumerate(rows) if isinstance(row, dict)]


def get_object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object in an object; empty if it is missing or something else."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _get_text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return redact(value, max_length=LONGEST_TEXT) if isinstance(value, str) else ""


def get_number(data: Mapping[str, Any], name: str) -> float | None:
    """Return a finite number in an object; None if it is missing or something else."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _get_count(json_object: Mapping[str, Any], name: str) -> int | None:
    number = get_number(json_object, name)
    return None if number is None else int(number)


def _get_index(json_object: Mapping[str, Any], name: str, default: int) -> int:
    number = get_number(json_object, name)
    return int(number) if number is not None and 0 <= number < 1e9 else default


def _reject_constant(word: str) -> float:
    raise ValueError(f"it has the value {word}, which is not JSON")
