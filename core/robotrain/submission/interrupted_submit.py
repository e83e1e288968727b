"""An interrupted submit, found again: its platform is asked for the run, which is adopted, reported or removed.

`submitter` finishes one when the same job is submitted again.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Suggestion, Unanswered, make_problem
from robotrain.model.plan import Plan, RenderedPlan
from robotrain.model.platform import Platform, format_cancel_command
from robotrain.model.run import Reference, RunGone, RunRecord
from robotrain.redaction import MAX_SENTENCE, holds_secret, redact
from robotrain.store import name_lock, plans, records
from robotrain.store.prune import remove_record
from robotrain.submission.prepare import make_secret_problem


def require_no_secrets(reference: Reference, platform: str) -> Reference:
    """Return the reference. Raise Unanswered if it contains a secret: it cannot be stored, but the run may exist."""
    if not isinstance(reference, Mapping):
        raise TypeError(f"{platform} answered with a {type(reference).__name__}; expected the reference of a run")
    if any(holds_secret(text) for pair in reference.items() for text in pair):
        title = f"platform {platform} failed: its reference to the run contains a secret"
        raise Unanswered([make_secret_problem(title)])
    return reference


def remove_run(record: RunRecord, platform: Platform) -> int | None:
    """Remove the outputs of a run, then its record; an interrupted removal can be repeated.

    Return the freed bytes; None if the platform keeps the files. Raise Rejected, OSError.
    """
    if record.phase == "sending":
        if not is_certainly_gone(record, platform):
            raise Rejected([make_problem("run-goes-on", f"{record.run} may run")])
        remove_record(record.run)
        return 0
    freed: int | None = 0
    with contextlib.suppress(RunGone):
        status = platform.status(record.reference)
        if not status.finished:
            title = f"{record.run} is {status.state} and is not removed"
            raise Rejected([make_problem("run-goes-on", title)])
        freed = platform.remove_outputs(record.reference)
    remove_record(record.run)
    return freed


SAME_COMMAND = "the same command"


def make_note(code: str, title: str, record: RunRecord, new: bool = False) -> Problem:
    """Return a note about an interrupted submit; `new` tells if it can offer `--new`."""
    return make_problem(code, title, "", record.run, "", _suggest_new(record) if new else "", severity="note")


def make_adopted_note(record: RunRecord, new: bool) -> Problem:
    """Return the note about an interrupted submit whose run was found; `new` tells if it can offer `--new`."""
    title = f"an earlier submit of this job was interrupted; {record.platform} has the run"
    return make_note("run-adopted", title, record, new)


def list_left_alone_warnings(records: Iterable[RunRecord]) -> Iterator[Problem]:
    """Yield warnings about interrupted submits that this submit does not finish."""
    for record in records:
        submit = f"the submit of {record.run} to {record.platform}{_format_from_machine(record)}"
        title = f"{submit} was interrupted; it is not continued"
        why = "It has other settings, pins or payload."
        if is_from_other_machine(record):
            hidden = "runs on that machine itself are not visible."
            why = f"{record.platform} does not have it as seen from here; {hidden}"
        ways = (
            Suggestion(f"robotrain status {record.run}", f"{_format_on_machine(record)}shows whether it runs"),
            Suggestion(f"robotrain cancel {record.run}", "stops it if it runs"),
            Suggestion(f"robotrain resubmit {record.run}", "submits it if it does not"),
        )
        yield make_problem("run-interrupted", title, "", "", why, *ways, severity="warning")


def make_other_machine_problem(record: RunRecord) -> Problem:
    """Return the problem of a plan whose submit was interrupted on another machine."""
    submit = f"the submit of {record.run}{_format_from_machine(record)}"
    title = f"{submit} was interrupted, and {record.platform} does not have it as seen from this machine"
    why = "Runs that work on that machine itself are not visible here."
    way = Suggestion(SAME_COMMAND, f"{_format_on_machine(record)}finds the run or submits it")
    return make_problem("run-interrupted", title, "", "", why, way)


def make_unsure_problem(record: RunRecord, why: str, answer: Unanswered | None = None, new: bool = False) -> Problem:
    """Return the problem of a submit with an unknown result.

    :param answer: what the platform answered; then its suggestions are offered, and with `new` also `--new`.
    """
    title = f"it is unknown whether {record.platform} accepted {record.run}"
    ways = [Suggestion(SAME_COMMAND, "looks for the run, and submits it only if it does not exist")]
    if answer:
        why = redact(str(answer), max_length=MAX_SENTENCE)
        ways += [way for problem in answer.problems for way in problem.suggestions if way.text != SAME_COMMAND]
        ways += [_suggest_new(record)] if new else []
    return make_problem("submit-unsure", title, "", "", why, *ways)


def make_damaged_plan_problem(record: RunRecord, folder: Path) -> Problem:
    """Return the problem of an interrupted submit whose stored plan is damaged."""
    title = f"it is unknown whether {record.platform} accepted {record.run}: its stored plan is damaged"
    why = f"If it runs, its name on {record.platform} begins with {record.run}."
    way = Suggestion(f"rm -r {folder.parent}", "removes the record, if you know that it does not run")
    return make_problem("submit-unsure", title, "", str(folder), why, _suggest_new(record), way)


def make_unrecorded_problem(record: RunRecord, problem: Problem) -> Problem:
    """Return the problem of a submitted run whose record could not be written."""
    title = f"{record.run} was submitted to {record.platform}, but its record could not be written"
    why = f"{problem.title[:1].upper()}{problem.title[1:]}."
    way = Suggestion(SAME_COMMAND, "later: it finds the run and records it")
    return make_problem("run-unrecorded", title, "", problem.given, why, way)


def make_name_taken_problem(run: str, phase: str) -> Problem:
    """Return the problem of a plan whose run name is taken."""
    titles = {
        "sent": f"{run} is already submitted",
        "sending": f"the submit of another plan as {run} was interrupted",
        "held": f"{run} is being submitted by another process",
    }
    suggestions = [Suggestion("robotrain render … --attempt N --to FOLDER", "renders the job under another name")]
    if phase == "sent":
        suggestions.append(Suggestion(f"robotrain resubmit {run}", "submits the same plan as the next attempt"))
    if phase == "sending":
        suggestions.append(Suggestion(f"robotrain resubmit {run}", "finishes that submit"))
    title = titles.get(phase, f"the name {run} is taken")
    return make_problem("run-name-taken", title, "", run, "", *suggestions, stage=Stage.USAGE)


def _suggest_new(record: RunRecord) -> Suggestion:
    return Suggestion("--new", f"ignores {record.run} and starts a new run")


def _format_from_machine(record: RunRecord) -> str:
    return f" from {record.host}" if is_from_other_machine(record) else ""


def _format_on_machine(record: RunRecord) -> str:
    return f"on {record.host}, " if is_from_other_machine(record) else ""


def is_from_other_machine(record: RunRecord) -> bool:
    """Return whether another machine submitted the run: this one may not see it."""
    return record.host not in ("", os.uname().nodename)


def format_error(error: BaseException) -> str:
    """Return an exception as one redacted sentence."""
    return f"{redact(f'{type(error).__name__}: {error}').rstrip('.: ')}."


ADOPTED_NOTE = "its submit was interrupted; the platform had the run, and it was adopted"


def make_sent_record(record: RunRecord, platform: Platform, reference: Reference, *notes: str) -> RunRecord:
    """Return the record of a run that the platform has."""
    command = format_cancel_command(platform, reference)
    notes = (*record.notes, *notes)
    return dataclasses.replace(record, phase="sent", reference=reference, cancel_command=command, notes=notes)


class RunNotSubmitted(Rejected):
    """The platform does not have the run, as seen from this machine."""


def adopt_run(record: RunRecord, platform: Platform) -> RunRecord:
    """Return the record of an interrupted submit whose platform has the run, now in the phase `sent`.

    Raise RunNotSubmitted if the platform does not have it, Rejected if it is being submitted or the platform does not
    answer.
    """
    claimed = name_lock.claim_exact_name(record.run, lambda found: True)
    if claimed is None or claimed[1] is None:
        if claimed:
            claimed[0].release_and_remove()
        return name_lock.read_submitted_record(record.run)  # another process finished it, or works on it
    lock, record = claimed[0], claimed[1]
    with lock:
        reference = _find_recorded_run(record, platform)
        if reference is None:
            raise RunNotSubmitted([make_not_found_problem(record, is_from_other_machine(record))])
        adopted = make_sent_record(record, platform, reference, ADOPTED_NOTE)
        records.write_record(adopted)
    return adopted


def is_certainly_gone(record: RunRecord, platform: Platform) -> bool:
    """Return whether an interrupted submit certainly created no run. Raise Rejected if the platform does not answer."""
    return not is_from_other_machine(record) and _find_recorded_run(record, platform) is None


def read_recorded_plan(record: RunRecord) -> RenderedPlan:
    """Return the stored plan of a record. Raise Rejected if it is missing or damaged."""
    stored = plans.find_stored_plan(record.run)
    if stored is None or stored.plan.digest != record.plan:
        raise Rejected([make_damaged_plan_problem(record, plans.get_plan_folder(record.run))])
    return stored


def find_on_platform(
    plan: Plan, platform: Platform, make_unsure: Callable[[str, Unanswered | None], Problem]
) -> Reference | None:
    """Return the platform's reference to the run of a plan; None if it has none. Raise Rejected if that is not known.

    :param make_unsure: return the problem for a reason; for an Unanswered, with its suggestions.
    """
    try:
        reference = platform.find(plan)
        return None if reference is None else require_no_secrets(reference, plan.platform)
    except Unanswered as unanswered:
        raise Rejected([make_unsure(str(unanswered), unanswered)], transient=True) from unanswered
    except Rejected as rejected:
        raise Rejected([make_unsure("", None), *rejected.problems], transient=rejected.transient) from rejected
    except (Exception, SystemExit) as error:  # whatever a plugin raises, or answers
        raise Rejected([make_unsure(format_error(error), None)], transient=True) from error


def _find_recorded_run(record: RunRecord, platform: Platform) -> Reference | None:
    """Return the platform's reference to the run of a record, as `find_on_platform`."""
    plan = read_recorded_plan(record).plan
    return find_on_platform(plan, platform, partial(make_unknown_outcome_problem, record))


def make_not_found_problem(record: RunRecord, other_machine: bool) -> Problem:
    """Return the problem of an interrupted submit whose run the platform does not have."""
    missing = f"{record.platform} does not have it" + (" as seen from this machine" if other_machine else "")
    title = f"the submit of {record.run} was interrupted, and {missing}"
    why = f"Runs that work on {record.host} itself are not visible here." if other_machine else ""
    retry = f"looks for it on {record.platform} again, and submits it if it is still missing"
    ways = [
        Suggestion("the same submit command", retry),
        Suggestion(f"robotrain resubmit {record.run}", "does the same"),
    ]
    if not other_machine:
        ways.append(Suggestion("robotrain runs --prune --state interrupted --keep 0", "removes the record"))
    return make_problem("run-not-sent", title, "", "", why, *ways)


def make_unknown_outcome_problem(record: RunRecord, why: str, answer: Unanswered | None) -> Problem:
    """Return the problem of an interrupted submit whose platform cannot tell if it has the run."""
    title = f"the submit of {record.run} was interrupted, and it is unknown whether {record.platform} has it"
    ways = [Suggestion(SAME_COMMAND, f"when {record.platform} answers again")]
    ways += [way for problem in answer.problems for way in problem.suggestions] if answer else []
    return make_problem("submit-unsure", title, "", "", why, *ways)
