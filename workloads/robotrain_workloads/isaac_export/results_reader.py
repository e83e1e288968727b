"""Reader of `export_results.json` for reports. The file comes from other machines: invalid parts are left out."""

import json

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
    results = json.loads(content)
    if not isinstance(results, dict):
        raise ValueError("it is not an object")
    metrics = get_object(results, "metrics")
    comparison = get_object(results, "comparison")
    rows = []
    for name in comparison:
        worst_error = get_number(get_object(comparison, name), "max_error")
        metric_numbers = (get_number(get_object(metrics, name), key) for _, key in COLUMNS)
        rows.append((FILES.get(name, redact(name)), format_number(worst_error, 2), *map(format_number, metric_numbers)))
    columns = ("file", "largest difference", *(title for title, _ in COLUMNS))
    tables = (ResultsTable(title="Exported policies", head=columns, rows=tuple(rows), remark=REMARK),) if rows else ()
    checkpoint = get_object(results, "checkpoint")
    texts_by_title = {
        "task": results.get("task"),
        "library": results.get("backend"),
        "checkpoint": checkpoint.get("source"),
        "file": checkpoint.get("file"),
    }
    facts = [
        (title, redact(fact_text, max_length=300) if isinstance(fact_text, str) else "")
        for title, fact_text in texts_by_title.items()
    ]
    facts += [(title, format_number(get_number(results, title), 6)) for title in ("observations", "actions")]
    return EvaluationResults(facts=tuple(facts), tables=tables)
