"""How a run is, as data and in a few lines: the same for every command that tells it."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from typing import TYPE_CHECKING, Any

from robotrain import scores
from robotrain.cli.watching import next_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robotrain.platforms import Platform
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
        "unit": known.unit,
        "download": {"done": known.download.done, "total": known.download.total} if known.download else None,
        "metrics": _metrics(known),
        "checkpoint": known.checkpoint or None,
        "checkpoint_step": known.checkpoint_step,
        "published": [{"step": one.step, "to": one.to} for one in known.published],
        "registered": [
            {"name": one.name, "version": one.version, "step": one.step, "uri": one.uri} for one in known.registered
        ],
        "evaluated": _evaluated(known),
        "delivered": known.results,
        "tracking": known.tracking,
        "warnings": known.warnings,
        "notes": list(record.notes),
        "next": [text for text, _ in next_step.commands(record.run, status, known)],
    }


def _metrics(known: Progress) -> dict[str, float]:
    """The newest of each name; once all is evaluated without those of one episode alone: the results have them."""
    if not known.evaluated:
        return known.metrics
    return {name: value for name, value in known.metrics.items() if not known.is_of_episode(name)}


def _evaluated(known: Progress) -> dict[str, Any] | None:
    found = known.evaluated
    if found is None:
        return None
    names = ("episodes", "scores", "conditions", "results", "policy", "step", "passed")
    succeeded, tried = scores.successes(found, scores.share_metric(known.declared)) or (None, None)
    return {name: getattr(found, name) for name in names} | {"successes": succeeded, "tried": tried}


def natively(record: RunRecord, platform: Platform) -> Iterator[tuple[str, str]]:
    """What its platform calls it there, each with its name."""
    from robotrain.redaction import told

    shown = getattr(platform, "shown", None)
    yield from ((told(name), told(text)) for name, text in (shown(record.reference).items() if shown else ()))


def machine_is_gone(platform: Platform, status: Status) -> bool:
    """Whether nobody reaches the folder of the run any more: it ended, where no folder outlives a run."""
    return status.finished and platform.capabilities.feature("publish_folder").level == "no"


def places(known: Progress, gone: bool = False) -> Iterator[tuple[str, str]]:
    """What the run left and where, each with its name. gone: the machine is, with every folder on it."""
    if known.checkpoint and not gone:
        step = "" if known.checkpoint_step is None else f"step {known.checkpoint_step}, "
        yield "checkpoint", f"{step}{known.checkpoint}"
    elif known.checkpoint and not known.published:
        yield "checkpoint", f"step {known.checkpoint_step}; its machine is gone: `robotrain outputs` lists the copies"
    if known.published:
        steps = {one.step for one in known.published}
        others = f" and {len(steps) - 1} earlier" if len(steps) > 1 else ""
        yield "published", f"step {max(steps)}, {', '.join(known.copies(max(steps)))}{others}"
    if known.evaluated and known.evaluated.results and not gone:
        yield "results", known.evaluated.results
    yield from (("copied to", place) for place in known.results)
    yield from (("policy", place) for place in known.policies)
    for one in known.registered:
        step = f", step {one.step}" if one.step else ""
        yield "registered", f"{one.name} version {one.version}{step}" + (f", {one.uri}" if one.uri else "")
    if known.tracking_ui:
        yield "tracking", known.tracking_ui
