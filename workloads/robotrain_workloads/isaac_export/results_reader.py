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
    data = json.loads(content)
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    metrics = get_object(data, "metrics")
    comparison = get_object(data, "comparison")
    rows = []
    for name in comparison:
        worst = get_number(get_object(comparison, name), "max_error")
        values = (get_number(get_object(metrics, name), key) for _, key in COLUMNS)
        rows.append((FILES.get(name, redact(name)), format_number(worst, 2), *map(format_number, values)))
    head = ("file", "largest difference", *(title for title, _ in COLUMNS))
    tables = (ResultsTable(title="Exported policies", head=head, rows=tuple(rows), remark=REMARK),) if rows else ()
    checkpoint = get_object(data, "checkpoint")
    texts = {
        "task": data.get("task"),
        "library": data.get("backend"),
        "checkpoint": checkpoint.get("source"),
        "file": checkpoint.get("file"),
    }
    facts = [(title, redact(text, max_length=300) if isinstance(text, str) else "") for title, text in texts.items()]
    facts += [(title, format_number(get_number(data, title), 6)) for title in ("observations", "actions")]
    return EvaluationResults(facts=tuple(facts), tables=tables)
