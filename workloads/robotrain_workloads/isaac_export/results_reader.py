"""Reader of `export_results.json` for reports."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.redaction import redact
from robotrain.report.evaluation import EvaluationResults, ResultsTable, format_number

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
    """Return the results. Raise ValueError unless `content` is a JSON object of such results."""
    results = json.loads(content)
    try:
        rows = [*_list_rows(results)]
        checkpoint = results.get("checkpoint") or {}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"it does not hold the results of an export ({error})") from None
    columns = ("file", "largest difference", *(title for title, _ in COLUMNS))
    tables = (ResultsTable(title="Exported policies", head=columns, rows=tuple(rows), remark=REMARK),) if rows else ()
    facts = {
        "task": results.get("task"),
        "library": results.get("backend"),
        "checkpoint": checkpoint.get("source"),
        "file": checkpoint.get("file"),
        **{name: results.get(name) for name in ("observations", "actions")},
    }
    texts = ((title, redact(str(fact or ""), max_length=300)) for title, fact in facts.items())
    return EvaluationResults(facts=tuple(texts), tables=tables)


def _list_rows(results: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    metrics, comparison = results.get("metrics") or {}, results.get("comparison") or {}
    for name, difference in comparison.items():
        of_file = metrics.get(name) or {}
        numbers = (format_number(of_file.get(key)) for _, key in COLUMNS)
        yield (FILES.get(name, redact(name)), format_number((difference or {}).get("max_error"), 2), *numbers)
