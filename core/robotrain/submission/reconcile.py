"""Records and platforms reconciled: interrupted submits adopted or reported, runs removed.

A run that goes on, or of which nobody can say it, stays; so does one that a run which stays was started from. A name
is never given to another run: a platform, a tracking server or a registry may still know it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain import redaction
from robotrain.errors import MAX_SENTENCE, Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.model.run import RunGone, RunRecord
from robotrain.redaction import redact
from robotrain.store import name_lock, plans, records
from robotrain.store.prune import remove_record

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import Reference


def measure_outputs(record: RunRecord, platform: Platform) -> int | None:
    """The bytes that removing a run would free; None when its platform keeps its files to itself. Raises Rejected."""
    return platform.remove_outputs(record.reference, dry_run=True)


def remove_run(record: RunRecord, platform: Platform) -> int | None:
    """Remove a run: first what its platform keeps, then its record; so one that was cut off is found again.

    The bytes that are free then; None when its platform keeps its files to itself. Raises Rejected, OSError.
    """
    freed: int | None = 0
    if record.phase == "sending":
        return _remove_interrupted(record, platform)
    with contextlib.suppress(RunGone):
        status = platform.status(record.reference)
        if not status.finished:
            title = f"{record.run} is {status.state}, so it is left alone"
            raise Rejected([Problem(code="run-goes-on", stage=Stage.SUBMIT, title=title)])
        freed = platform.remove_outputs(record.reference)
    remove_record(record.run)
    return freed


def _remove_interrupted(record: RunRecord, platform: Platform) -> int:
    """Asked once more: what is there meanwhile stays. Raises Rejected, OSError."""
    if not is_certainly_gone(record, platform):
        raise Rejected([Problem(code="run-goes-on", stage=Stage.SUBMIT, title=f"{record.run} may run")])
    remove_record(record.run)
    return 0


SAME_COMMAND = "the same command"


def make_adopted_note(record: RunRecord, new: bool) -> Problem:
    """The platform had it. new: whether `--new` could be said."""
    title = f"an earlier submit of this job was cut off; {record.platform} had taken it"
    return _make_note("run-adopted", title, record, *([_suggest_new(record)] if new else []))


def make_resubmitted_note(record: RunRecord) -> Problem:
    """The platform did not have it."""
    title = f"an earlier submit of this job was cut off before {record.platform} took it"
    return _make_note("run-sent-again", title, record)


def make_unfinished_note(record: RunRecord, new: bool) -> Problem:
    """Preflight does not let pass what an earlier submit was cut off from. new: whether `--new` could be said."""
    title = f"the earlier submit of {record.run} was not finished; the same command goes on with it, once it can"
    return _make_note("run-interrupted", title, record, *([_suggest_new(record)] if new else []))


def make_interrupted_note(record: RunRecord) -> Problem:
    """It was interrupted in time."""
    return _make_note("submit-interrupted", f"interrupted; nothing was sent to {record.platform}", record)


def make_dry_run_note(record: RunRecord) -> Problem:
    """Told when nothing is sent: what a submit would do first."""
    title = f"an earlier submit of this job was cut off; a submit asks {record.platform} for it first"
    return _make_note("run-interrupted", title, record)


def list_left_alone_warnings(records: Iterable[RunRecord]) -> Iterator[Problem]:
    """Submits that were cut off, and are not this one's to finish."""
    for record in records:
        yield Problem(
            code="run-interrupted",
            stage=Stage.SUBMIT,
            severity="warning",
            title=f"sending {record.run} to {record.platform}{_format_from_machine(record)} was cut off, and it is left alone",
            why=_explain_left_alone(record),
            suggestions=(
                Suggestion(f"robotrain status {record.run}", f"{_format_on_machine(record)}says whether it runs"),
                Suggestion(f"robotrain cancel {record.run}", "stops it, if it does"),
                Suggestion(f"robotrain resubmit {record.run}", "sends it, if it does not"),
            ),
        )


def make_other_machine_problem(record: RunRecord) -> Problem:
    """A plan that another machine was sending, and that the platform does not have as seen from here."""
    return Problem(
        code="run-interrupted",
        stage=Stage.SUBMIT,
        title=f"sending {record.run}{_format_from_machine(record)} was cut off, and from here {record.platform} does not have it",
        why="What runs on that machine alone cannot be seen from this one.",
        suggestions=(Suggestion("the same command", f"{_format_on_machine(record)}finds out what became of it"),),
    )


def make_unsure_problem(record: RunRecord, why: str | BaseException) -> Problem:
    """Nobody knows whether the platform has it."""
    return Problem(
        code="submit-unsure",
        stage=Stage.SUBMIT,
        title=f"whether {record.platform} took {record.run} is not known",
        why=_format_reason(why),
        suggestions=(Suggestion(SAME_COMMAND, "asks, and sends it only if it is not there"),),
    )


def make_unanswered_problem(record: RunRecord, answer: Unanswered, new: bool) -> Problem:
    """The same, in the platform's words. new: whether `--new` could be said."""
    ways = [way for problem in answer.problems for way in problem.suggestions if way.text != SAME_COMMAND]
    problem = make_unsure_problem(record, "")
    instead = (*problem.suggestions, *ways, *([_suggest_new(record)] if new else []))
    return dataclasses.replace(problem, why=redact(str(answer), max_length=MAX_SENTENCE), suggestions=instead)


def make_damaged_plan_problem(record: RunRecord, folder: Path) -> Problem:
    """A submit that was cut off, and nothing left to ask the platform with."""
    return Problem(
        code="submit-unsure",
        stage=Stage.SUBMIT,
        title=f"whether {record.platform} took {record.run} cannot be asked: its plan is damaged",
        given=str(folder),
        why=f"If it runs, its name on {record.platform} is this one, or begins with it.",
        suggestions=(
            _suggest_new(record),
            Suggestion(f"rm -r {folder.parent}", "forgets it, when you know that it does not run"),
        ),
    )


def make_preflight_failed_problem(platform: str, error: Exception) -> Problem:
    """Preflight came to no answer."""
    return Problem(
        code="preflight-failed",
        stage=Stage.PREFLIGHT,
        title=f"whether it would run on {platform} could not be found out",
        why=_format_reason(error),
    )


def make_unrecorded_problem(record: RunRecord, problem: Problem) -> Problem:
    """It runs, and its record still says that it is being sent."""
    return Problem(
        code="run-unrecorded",
        stage=Stage.SUBMIT,
        title=f"{record.run} was sent to {record.platform}, and that could not be recorded",
        given=problem.given,
        why=f"{problem.title[:1].upper()}{problem.title[1:]}.",
        suggestions=(Suggestion("the same command", "when it can: it finds the run and records it"),),
    )


def make_name_taken_problem(run: str, phase: str) -> Problem:
    """A plan has the name it was rendered for, and no other."""
    said = {
        "sent": f"{run} was sent already",
        "sending": f"sending another plan as {run} was cut off",
        "held": f"{run} is being sent at this moment",
    }
    ways = [Suggestion("robotrain render … --attempt N --to FOLDER", "renders the same job under another name")]
    if phase == "sent":
        ways.append(Suggestion(f"robotrain resubmit {run}", "sends what was sent as its next attempt"))
    if phase == "sending":
        ways.append(Suggestion(f"robotrain resubmit {run}", "finds out what became of that one"))
    title = said.get(phase, f"the name {run} is taken")
    return Problem(code="run-name-taken", stage=Stage.USAGE, title=title, given=run, suggestions=tuple(ways))


def _make_note(code: str, title: str, record: RunRecord, *instead: Suggestion) -> Problem:
    return Problem(code=code, stage=Stage.SUBMIT, severity="note", title=title, given=record.run, suggestions=instead)


def _explain_left_alone(record: RunRecord) -> str:
    if _is_from_other_machine(record):
        return f"From here {record.platform} does not have it; what runs on that machine alone cannot be seen."
    return "It was sent with other settings, pins or payload than these."


def _suggest_new(record: RunRecord) -> Suggestion:
    return Suggestion("--new", f"leaves {record.run} alone and sends the job as a run of its own")


def _format_from_machine(record: RunRecord) -> str:
    return f" from {record.host}" if _is_from_other_machine(record) else ""


def _format_on_machine(record: RunRecord) -> str:
    return f"on {record.host}, " if _is_from_other_machine(record) else ""


def _is_from_other_machine(record: RunRecord) -> bool:
    return record.host not in ("", os.uname().nodename)


def _format_reason(why: str | BaseException) -> str:
    """In one sentence, without what an address or a header may carry."""
    text = f"{type(why).__name__}: {why}" if isinstance(why, BaseException) else why
    return f"{redact(text).rstrip('.: ')}." if text else ""


ADOPTED_NOTE = "its submit was cut off; the platform had it, and it was adopted"


class RunNotSubmitted(Rejected):
    """The platform has no such run, as seen from here."""


def adopt_run(record: RunRecord, platform: Platform) -> RunRecord:
    """The record of a run that its platform has after all; it says `sent` from now on. Raises NotThere, and Rejected
    when it is being sent just now, or cannot be asked for.
    """
    claimed = name_lock.claim_exact_name(record.run, lambda found: True)
    if claimed is None or claimed[1] is None:
        if claimed:
            claimed[0].release_and_remove()
        return name_lock.read_submitted_record(record.run)  # somebody else came to its end, or is at it
    held, record = claimed[0], claimed[1]
    with held:
        reference = find_on_platform(record, platform)
        if reference is None:
            raise RunNotSubmitted([records.make_not_found_problem(record, _is_from_elsewhere(record))])
        found = dataclasses.replace(record, phase="sent", reference=reference, notes=(*record.notes, ADOPTED_NOTE))
        records.write_record(found)
    return found


def is_certainly_gone(record: RunRecord, platform: Platform) -> bool:
    """Whether it is certain that nothing became of it. Raises Rejected when it cannot be asked."""
    return not _is_from_elsewhere(record) and find_on_platform(record, platform) is None


def find_on_platform(record: RunRecord, platform: Platform) -> Reference | None:
    """Where it runs, by the plan that was kept; None where its platform has none. Raises Rejected when that is not
    known.
    """
    kept = plans.find_stored_plan(record.run)
    if kept is None or kept.plan.digest != record.plan:
        pass

        raise Rejected([make_damaged_plan_problem(record, plans.get_plan_folder(record.run))])
    try:
        reference = platform.find(kept.plan)
        return reference and redaction.require_no_secrets(reference, record.platform)
    except Unanswered as unanswered:
        ways = [way for problem in unanswered.problems for way in problem.suggestions]
        raise Rejected(
            [records.make_unknown_outcome_problem(record, str(unanswered), *ways)], transient=True
        ) from unanswered
    except Rejected as rejected:
        problems = [records.make_unknown_outcome_problem(record, ""), *rejected.problems]
        raise Rejected(problems, transient=rejected.transient) from rejected
    except Exception as error:  # whatever a plugin raises
        why = f"{redact(f'{type(error).__name__}: {error}').rstrip('.: ')}."
        raise Rejected([records.make_unknown_outcome_problem(record, why)], transient=True) from error


def _is_from_elsewhere(record: RunRecord) -> bool:
    return record.host not in ("", os.uname().nodename)
