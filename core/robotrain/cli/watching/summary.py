"""How a run is, as data and in a few lines: the same for every command that tells it."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from typing import TYPE_CHECKING, Any

from robotrain.cli.watching import next_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robotrain.progress import Progress
    from robotrain.run import RunRecord, Status


def as_data(record: RunRecord, status: Status, known: Progress) -> dict[str, Any]:
    """The keys are an API."""
    return {
        "run": record.run,
        "platform": record.platform,
        "workload": record.workload,
        "state": status.state,
        "reason": status.reason,
        "exit_code": status.exit_code,
        "fault": known.outcome.fault if known.outcome else "",
        "created": record.created,
        "started": status.started,
        "ended": status.ended,
        "stage": known.stage,
        "step": known.step,
        "total": known.total,
        "download": {"done": known.download.done, "total": known.download.total} if known.download else None,
        "metrics": known.metrics,
        "checkpoint": known.checkpoint or None,
        "checkpoint_step": known.checkpoint_step,
        "published": [{"step": one.step, "to": one.to} for one in known.published],
        "registered": [
            {"name": one.name, "version": one.version, "step": one.step, "uri": one.uri} for one in known.registered
        ],
        "tracking": known.tracking,
        "warnings": known.warnings,
        "notes": list(record.notes),
        "next": [text for text, _ in next_step.commands(record.run, status, known)],
    }


def places(known: Progress) -> Iterator[tuple[str, str]]:
    """What the run left and where, each with its name."""
    if known.checkpoint:
        step = "" if known.checkpoint_step is None else f"step {known.checkpoint_step}, "
        yield "checkpoint", f"{step}{known.checkpoint}"
    if known.published:
        steps = {one.step for one in known.published}
        others = f" and {len(steps) - 1} earlier" if len(steps) > 1 else ""
        yield "published", f"step {max(steps)}, {', '.join(known.copies(max(steps)))}{others}"
    for one in known.registered:
        yield "registered", f"{one.name} version {one.version}, step {one.step}" + (f", {one.uri}" if one.uri else "")
    if known.tracking_ui:
        yield "tracking", known.tracking_ui
