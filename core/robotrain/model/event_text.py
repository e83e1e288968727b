"""Events of a run as lines for people, as `watch` and `submit --wait` print them."""

from collections.abc import Sequence

from robotrain_runtime.contract import event

from robotrain.model import scores
from robotrain.model.amounts import format_duration
from robotrain.model.workload_profile import Metric


def describe_event(log_event: event.Event, declared_metrics: Sequence[Metric] = ()) -> str:
    """Return an event as a line for users; empty for events without a meaning of their own."""
    match log_event:
        case event.StageEvent():
            duration_text = _format_seconds(log_event.seconds)
            return f"{log_event.name}: {log_event.state}{duration_text}" + (
                f" ({log_event.detail})" if log_event.detail else ""
            )
        case event.Metrics(step=int(), values=measured) if measured:
            metrics_text = "  ".join(f"{name} {value:.4g}" for name, value in log_event.values.items())
            return metrics_text if log_event.unit == "value" else f"{log_event.unit} {log_event.step}: {metrics_text}"
        case event.Checkpoint():
            return f"checkpoint of step {log_event.step}: {log_event.path}"
        case event.Published():
            duration_text = _format_seconds(log_event.seconds)
            return f"checkpoint of step {log_event.step} published to {log_event.file or log_event.to}{duration_text}"
        case event.Discarded():
            return f"checkpoint of step {log_event.step} is removed: the program keeps newer ones"
        case event.Withdrawn():
            return f"{log_event.to} is removed: newer checkpoints exist"
        case event.Registered():
            policy_text = f"the policy{f' of step {log_event.step}' if log_event.step else ''} is"
            uri = f": {log_event.uri}" if log_event.uri else ""
            note = scores.format_registration_note(log_event)
            version = f"{log_event.name}, version {log_event.version}{uri}"
            return f"{policy_text} registered as {version}{f'; {note}' if note else ''}"
        case event.Evaluated():
            episodes = f"{log_event.episodes} episodes" if log_event.episodes else "the policy is"
            count = "1 episode" if log_event.episodes == 1 else episodes
            scores_text = scores.format_scores_with_conditions(log_event, declared_metrics)
            verdict = "; below the required score" if log_event.passed is False else ""
            return f"{count} evaluated" + (f": {scores_text}" if scores_text else "") + verdict
        case event.Scored():
            evaluated = event.Evaluated(episodes=log_event.episodes, scores=log_event.scores, results="")
            scores_text = log_event.error or scores.format_scores(evaluated, declared_metrics)
            return f"checkpoint of step {log_event.step}{' not evaluated' if log_event.error else ''}: {scores_text}"
        case event.Delivered():
            duration_text = _format_seconds(log_event.seconds)
            return f"copied to {log_event.to}{duration_text}"
        case event.Note():
            return f"{log_event.level}: {log_event.text}"
        case event.Outcome():
            return f"{log_event.state}, exit code {log_event.exit_code}" + (
                f": {log_event.reason}" if log_event.reason else ""
            )
    return ""


def _format_seconds(seconds: float | None) -> str:
    return "" if seconds is None else f" in {format_duration(seconds)}"
