"""What the webhook is told about a run that ended: its name, how and why it ended, its score, the next command."""

from robotrain import notifications
from robotrain.cli.next_commands import list_next_commands
from robotrain.errors import Problem
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord, Status
from robotrain.redaction import redact_if_secret


def send_notice(webhook: str, record: RunRecord, status: Status, progress: Progress) -> list[Problem]:
    """Tell a webhook that a run ended; return a warning if it did not take it."""
    title = f"{record.name or record.run} {status.state}"
    return notifications.send(webhook, f"{title}\n{format_notice(record, status, progress)}")


def format_notice(record: RunRecord, status: Status, progress: Progress) -> str:
    """Return the lines below the title. Pure."""
    metric = progress.validation_metric or progress.main_metric
    metric_value = progress.metrics.get(metric.name) if metric else None
    score = (
        progress.score_text
        if progress.evaluated
        else f"{metric.name} {metric_value:.4g}"
        if metric and metric_value is not None
        else ""
    )
    lines = (status.reason, score, f"run: {record.run} on {record.platform}")
    next_line = f"next: {list_next_commands(record, status, progress)[0][0]}"
    return "\n".join(redact_if_secret(line) for line in (*lines, next_line) if line)
