"""The state of a run: progress read from its log, summary as data, places of outputs, next commands."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import event

from robotrain.cli.output import print_message
from robotrain.model import scores
from robotrain.model.progress import Progress
from robotrain.model.run import Status

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord

MAX_LINES = 400
SHOWN_LINES = 8


def read_run_log(record: RunRecord, platform: Platform) -> tuple[Progress, list[str]]:
    """What its events add up to, and the last ordinary lines: the run's own, where it said anything."""
    known, ordinary, others = Progress(record.metrics), deque[str](maxlen=MAX_LINES), deque[str](maxlen=MAX_LINES)
    try:
        for line in platform.logs(record.reference, follow=False):
            if not line.startswith(event.PREFIX):
                (others if is_platform_line(line, record) else ordinary).append(line)
            elif found := event.parse_event(line):
                known.add_event(found)
    except Exception as error:  # whatever a plugin raises: its state is known, and told
        from robotrain.cli.output import describe_exception

        print_message(f"warning: the log of {record.run} cannot be read: {describe_exception(error)}")
    return known, list(ordinary or others)


def is_platform_line(line: str, record: RunRecord) -> bool:
    """Whether a line is what the platform itself had to say."""
    return line.startswith(f"[{record.platform}] ")


def select_error_lines(lines: list[str]) -> list[str]:
    """The lines that show an error: the last traceback's end and what is right before it, else the last lines."""
    told = [line.rstrip() for line in lines if line.strip()]
    begins = next((at for at in reversed(range(len(told))) if told[at].startswith("Traceback (most")), None)
    if begins is None:
        return told[-SHOWN_LINES:]
    raised = next((at for at in range(begins + 1, len(told)) if not told[at].startswith((" ", "\t"))), len(told) - 1)
    return told[max(0, raised + 1 - SHOWN_LINES) : raised + 1]


def dump_status(record: RunRecord, status: Status, known: Progress) -> dict[str, Any]:
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
        "metrics": _select_metrics(known),
        "checkpoint": known.checkpoint or None,
        "checkpoint_step": known.checkpoint_step,
        "published": [{"step": one.step, "to": one.to} for one in known.published],
        "registered": [
            {"name": one.name, "version": one.version, "step": one.step, "uri": one.uri} for one in known.registered
        ],
        "evaluated": _dump_evaluation(known),
        "delivered": known.results,
        "tracking": known.tracking,
        "warnings": known.warnings,
        "notes": list(record.notes),
        "next": [text for text, _ in suggest_commands(record.run, status, known)],
    }


def _select_metrics(known: Progress) -> dict[str, float]:
    """The newest of each name; once all is evaluated without those of one episode alone: the results have them."""
    if not known.evaluated:
        return known.metrics
    return {name: value for name, value in known.metrics.items() if not known.is_episode_metric(name)}


def _dump_evaluation(known: Progress) -> dict[str, Any] | None:
    found = known.evaluated
    if found is None:
        return None
    names = ("episodes", "scores", "conditions", "results", "policy", "step", "passed")
    succeeded, tried = scores.count_successes(found, scores.find_share_metric(known.declared_metrics)) or (None, None)
    return {name: getattr(found, name) for name in names} | {"successes": succeeded, "tried": tried}


def list_native_names(record: RunRecord, platform: Platform) -> Iterator[tuple[str, str]]:
    """What its platform calls it there, each with its name."""
    from robotrain.redaction import redact_if_secret

    shown = platform.describe_reference(record.reference)
    yield from ((redact_if_secret(name), redact_if_secret(text)) for name, text in shown.items())


def is_machine_gone(platform: Platform, status: Status) -> bool:
    """Whether nobody reaches the folder of the run any more: it ended, where no folder outlives a run."""
    return status.finished and platform.capabilities.feature("publish_folder").level == "no"


def list_places(known: Progress, gone: bool = False) -> Iterator[tuple[str, str]]:
    """What the run left and where, each with its name. gone: the machine is, with every folder on it."""
    if known.checkpoint and not gone:
        step = "" if known.checkpoint_step is None else f"step {known.checkpoint_step}, "
        yield "checkpoint", f"{step}{known.checkpoint}"
    elif known.checkpoint and not known.published:
        yield "checkpoint", f"step {known.checkpoint_step}; its machine is gone: `robotrain outputs` lists the copies"
    if known.published:
        steps = {one.step for one in known.published}
        others = f" and {len(steps) - 1} earlier" if len(steps) > 1 else ""
        yield "published", f"step {max(steps)}, {', '.join(known.list_copies(max(steps)))}{others}"
    if known.evaluated and known.evaluated.results and not gone:
        yield "results", known.evaluated.results
    yield from (("copied to", place) for place in known.results)
    yield from (("policy", place) for place in known.policies)
    for one in known.registered:
        step = f", step {one.step}" if one.step else ""
        yield "registered", f"{one.name} version {one.version}{step}" + (f", {one.uri}" if one.uri else "")
    if known.tracking_ui:
        yield "tracking", known.tracking_ui


JOB_FAULTS = ("configuration", "data", "code")
"""Faults of the job itself: what is sent once more as it is fails once more."""


def suggest_commands(run: str, status: Status, known: Progress) -> list[tuple[str, str]]:
    """Each with what it does, the most useful one first."""
    return list(_iter_suggestions(run, status, known))


def _iter_suggestions(run: str, status: Status, known: Progress) -> Iterator[tuple[str, str]]:
    if not status.finished:
        yield f"robotrain watch {run}", "see it run" if status.state == "running" else "see it start"
        yield f"robotrain cancel {run}", "stop it"
        return
    if known.evaluated:
        yield from _suggest_after_evaluation(run, status, known)
        return
    if status.state == "succeeded":
        yield f"robotrain outputs {run}", "what it left"
        yield f"robotrain report {run}", "one page on it"
        return
    if known.outcome and known.outcome.worth_a_retry and known.outcome.fault != "stopped":
        what = f"the fault was not the job's ({known.outcome.fault.replace('_', ' ')}): the same may work now"
        yield (f"robotrain resume {run}" if known.checkpoint else f"robotrain resubmit {run}"), what
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
        return
    if status.state == "failed":
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    if known.checkpoint and known.step is not None and known.step == known.total:
        yield f"robotrain outputs --to FOLDER {run}", "it came to its last step: bring what it left"
    elif known.outcome and known.outcome.fault in JOB_FAULTS:
        again = "resume" if known.checkpoint else "resubmit"
        what = f"with what has to change: as it is, it would fail again ({known.outcome.fault})"
        yield f"robotrain {again} {run} --set NAME=VALUE", what
    elif known.checkpoint:
        yield f"robotrain resume {run}", f"go on from step {known.checkpoint_step}"
    else:
        yield f"robotrain resubmit {run}", "start it over"


def _suggest_after_evaluation(run: str, status: Status, known: Progress) -> Iterator[tuple[str, str]]:
    """Once the results are there; what failed after them is in the log."""
    yield f"robotrain report {run}", "one page on it: every episode, plots, videos"
    found = known.evaluated
    if status.state == "succeeded" and found and found.policy and not known.registered:
        yield f"robotrain register {run} MODEL", "make the policy a version of a model, with its scores"
    if status.state == "failed" and found and found.passed is not False:
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    yield f"robotrain outputs --to FOLDER {run}", "bring the results"


def format_next_steps(run: str, status: Status, known: Progress) -> list[str]:
    """The same as lines, the remarks aligned."""
    found = suggest_commands(run, status, known)
    column = max(len(text) for text, _ in found)
    return [f"{'next' if index == 0 else '':<11} {text:<{column}}   {why}" for index, (text, why) in enumerate(found)]
