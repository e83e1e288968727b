"""Reader of `export_results.json` for reports. The file comes from other machines: invalid parts are left out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.redaction import redact
from robotrain.report.evaluation import EvaluationResults, ResultsTable, format_number

from robotrain_workloads.evaluation.results_reader import get_number, get_object

FILES = {"onnx": "policy.onnx", "jit": "policy.pt"}
COLUMNS = (
    ("mean reward", "mean_episode_reward"),
    ("episodes", "total_episodes"),
    ("ms/action", "mean_inference_time_ms"),
    ("p95 ms", "p95_inference_time_ms"),
    ("steps/s", "throughput_steps_per_sec"),
)
REMARK = "An action is taken for the same if it differs by at most 1e-5 + 1e-4 of its size."


def read_results(content: bytes) -> EvaluationResults:
    """Return the results. Raise ValueError unless `content` is a JSON object."""
    data = json.loads(content)
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    metrics, comparison = get_object(data, "metrics"), get_object(data, "comparison")
    rows = tuple(_make_row(name, get_object(metrics, name), get_object(comparison, name)) for name in comparison)
    head = ("file", "largest difference", *(title for title, _ in COLUMNS))
    tables = (ResultsTable(title="Exported policies", head=head, rows=rows, remark=REMARK),) if rows else ()
    return EvaluationResults(facts=tuple(_list_facts(data)), tables=tables)


def _make_row(name: str, metrics: Mapping[str, Any], comparison: Mapping[str, Any]) -> tuple[str, ...]:
    errors = [get_number(part, "max_error") for part in comparison.values() if isinstance(part, dict)]
    worst = max((error for error in errors if error is not None), default=None)
    values = (get_number(metrics, key) for _, key in COLUMNS)
    return (FILES.get(name, redact(name)), format_number(worst, 2), *map(format_number, values))


def _list_facts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    checkpoint = get_object(data, "checkpoint")
    for title, place, key in (
        ("task", data, "task"),
        ("library", data, "backend"),
        ("recurrent layer", data, "rnn"),
        ("checkpoint", checkpoint, "source"),
        ("file", checkpoint, "file"),
    ):
        value = place.get(key)
        yield title, redact(value, max_length=300) if isinstance(value, str) else ""
    for title in ("observations", "actions"):
        yield title, format_number(get_number(data, title), 6)
