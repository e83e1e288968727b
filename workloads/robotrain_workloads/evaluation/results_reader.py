"""Reader of `eval_results.json` for reports. The file comes from other machines: its texts are redacted."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.model import scores
from robotrain.redaction import redact
from robotrain.report.charts import Bar
from robotrain.report.evaluation import MAX_ROWS, EpisodeOutcome, EvaluationResults, ResultsTable, format_number

LONGEST_TEXT = 300
MAX_EPISODES = 20_000
"""How many episodes count; as rows of a table fewer are shown."""
REPLAY_NOTE = "Errors are in the dataset's own units. ms/action is the mean of all actions."
VIDEO_NOTES = {
    "pusht": "The red cross in a video is the newest action, the blue dot the robot. In the first picture of an "
    "episode the cross is still that of the episode before, if there was one."
}
"""What an environment draws into its pictures."""
HELD_OUT_NOTES = {
    True: "These episodes were held out from training. ",
    False: "The policy may have been trained on these episodes. ",
    None: "",
}
LATENCIES = ("mean", "p50", "p95", "p99")
REPLAY_COLUMNS = ("steps", "mse", "mae", "avg_inference_ms", "throughput_hz")
OUTCOMES = {True: "success", False: "failure", None: ""}
WRONG_TYPES = (AttributeError, KeyError, OverflowError, RecursionError, TypeError)
"""What reading a file raises that has values of other types."""

Row = Mapping[str, Any]


def read_results(content: bytes) -> EvaluationResults:
    """Return the results. Raise ValueError unless `content` is a strict JSON object of such results."""
    try:
        return _read_results(json.loads(content, parse_constant=_reject_constant))
    except WRONG_TYPES as error:
        raise ValueError(f"it does not hold results of an evaluation ({type(error).__name__})") from None


def _reject_constant(word: str) -> float:
    raise ValueError(f"it has the value {word}, which is not JSON")


def _read_results(results: Row) -> EvaluationResults:
    rollout, policy = results.get("rollout") or {}, results.get("policy") or {}
    latencies = results.get("latency_ms") or {}
    values_by_metric = {f"replay/latency_{name}_ms": latencies.get(name) for name in LATENCIES}
    values_by_metric["rollout/avg_length"] = rollout.get("avg_length")
    values_by_metric["replay/throughput_hz"] = results.get("aggregate_throughput_hz")
    played_rows = (rollout.get("per_episode") or [])[:MAX_EPISODES]
    has_videos = any(row.get("video") for row in played_rows[:MAX_ROWS])
    return EvaluationResults(
        facts=tuple(_list_facts(results, policy, rollout)),
        values={name: float(value) for name, value in values_by_metric.items() if value is not None},
        tables=tuple(_make_tables(results, rollout, played_rows[:MAX_ROWS])),
        outcomes=tuple(_make_outcome(index, row) for index, row in enumerate(played_rows)),
        video_note=VIDEO_NOTES.get(str(rollout.get("env")), "") if has_videos else "",
        policy=_describe_policy(results, policy, rollout),
        conditions=_describe_conditions(results, rollout),
    )


def _read_text(row: Row, name: str) -> str:
    return redact(str(row.get(name) or ""), max_length=LONGEST_TEXT)


def _describe_policy(results: Row, policy: Row, rollout: Row) -> dict[str, Any]:
    latency = rollout.get("latency_ms") or results.get("latency_ms")
    return {
        **{name: _read_text(policy, name) or None for name in ("source", "name", "pin", "type", "sha256")},
        **{name: rollout.get(name) for name in ("episodes", "trials", "successes", "success_rate", "success_interval")},
        "step": policy.get("step"),
        "score": rollout.get("avg_max_reward"),
        "latency_ms": {name: latency.get(name) for name in ("p50", "p95")} if latency else None,
        "peak_memory_mib": results.get("peak_memory_mib"),
    }


def _describe_conditions(results: Row, rollout: Row) -> dict[str, Any]:
    packages, options = results.get("packages") or {}, results.get("options")
    return {
        "text": _read_text(results, "conditions").partition("; ")[0] or None,
        **{name: _read_text(rollout, name) or None for name in ("env", "starts")},
        "tasks": [_read_text(row, "task") for row in rollout.get("tasks") or ()],
        **{name: rollout.get(name) for name in ("success_reward", "env_steps", "batch", "episodes")},
        "seed": results.get("seed"),
        "first_seed": next(iter(rollout.get("seeds") or ()), None),
        "options": options and [redact(str(option)) for option in options],
        "packages": {name: _read_text(packages, name) for name in packages} or None,
        **{name: _read_text(results, name) or None for name in ("lock", "device")},
    }


def _make_tables(results: Row, rollout: Row, rolled_rows: list[Row]) -> Iterator[ResultsTable]:
    environment = _read_text(rollout, "env")
    if tasks := rollout.get("tasks"):
        yield ResultsTable(
            title=f"Tasks of {environment}" if environment else "Tasks",
            head=("task", "success", "95% interval", "greatest reward", "steps", "in words"),
            rows=tuple(map(_format_task_row, tasks)),
        )
    if rolled_rows:
        task_head = ("task",) if any(row.get("task") for row in rolled_rows) else ()
        yield ResultsTable(
            title=f"Episodes in {environment}" if environment else "Episodes",
            head=(
                *("episode", *task_head, "outcome", "greatest reward"),
                *("steps", "sum of rewards", "seconds", "seed"),
            ),
            rows=tuple(_format_rollout_row(index, row, bool(task_head)) for index, row in enumerate(rolled_rows)),
        )
    if replayed_rows := (results.get("per_episode") or ())[:MAX_ROWS]:
        yield ResultsTable(
            title="Recorded episodes",
            head=("episode", "steps", "mse", "mae", "ms/action", "actions/s"),
            rows=tuple(
                (str(row["episode"]), *(format_number(row.get(name)) for name in REPLAY_COLUMNS))
                for row in replayed_rows
            ),
            remark=HELD_OUT_NOTES[results.get("held_out")] + REPLAY_NOTE,
            bars_title="Mean absolute error of each action dimension",
            bars=tuple(map(_make_joint_bar, results.get("per_joint") or ())),
        )


def _make_outcome(index: int, row: Row) -> EpisodeOutcome:
    task, reward = _read_text(row, "task"), row.get("max_reward")
    reward_text = "" if reward is None else f"greatest reward {format_number(reward)}"
    return EpisodeOutcome(
        episode=int(row.get("index", index)),
        seed=row.get("seed"),
        trial=row.get("trial"),
        task=task,
        success=row.get("success"),
        score=reward,
        remark=", ".join(filter(None, (task, reward_text))),
    )


def _format_task_row(row: Row) -> tuple[str, ...]:
    rate = row.get("success_rate")
    rate_text = "" if rate is None else f"{row['successes']} of {row['trials']}, {rate:.0%}"
    low, high = row.get("success_interval") or (None, None)
    means = (format_number(row.get(name)) for name in ("avg_max_reward", "avg_length"))
    return (
        *(_read_text(row, "task"), rate_text, scores.format_share_bounds(low, high)),
        *(*means, _read_text(row, "description")),
    )


def _format_rollout_row(index: int, row: Row, has_tasks: bool) -> tuple[str, ...]:
    return (
        str(int(row.get("index", index))),
        *((_read_text(row, "task"),) if has_tasks else ()),
        OUTCOMES[row.get("success")],
        *(format_number(row.get(name)) for name in ("max_reward", "steps", "sum_reward")),
        format_number(row.get("seconds"), 3),
        format_number(row.get("seed"), 12),
    )


def _make_joint_bar(row: Row) -> Bar:
    error, largest_error = row["mae"], row.get("max_error")
    return Bar(
        _read_text(row, "name"),
        error,
        format_number(error) + ("" if largest_error is None else f", at most {format_number(largest_error)}"),
    )


def _list_facts(results: Row, policy: Row, rollout: Row) -> Iterator[tuple[str, str]]:
    yield "policy", _read_text(results, "policy_repo_id") or _read_text(policy, "source")
    yield "policy type", _read_text(results, "policy_type") or _read_text(policy, "type")
    yield "policy step", _read_text(policy, "step")
    yield "policy digest", _read_text(policy, "sha256")
    yield "dataset", _read_text(results, "dataset_repo_id")
    yield "environment", _read_text(rollout, "env")
    episodes, trials = rollout.get("episodes"), rollout.get("trials")
    has_repeats = episodes and trials and trials < episodes
    yield "episodes that count", f"{trials} of {episodes}: the others repeat a start" if has_repeats else ""
    yield "device", _read_text(results, "device")
