"""An interrupted submit, found again: its platform is asked for the run, which is adopted, reported or removed.

`submitter` finishes one when the same job is submitted again.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from robotrain.errors import Problem, Rejected, Suggestion, Unanswered
from robotrain.messages import Messages
from robotrain.model.plan import Plan, RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.reference import Reference
from robotrain.model.run import RunGone, RunRecord
from robotrain.redaction import MAX_SENTENCE, holds_secret, redact
from robotrain.store import name_lock, plans, records, stored_job
from robotrain.submission.plan_secrets import make_secret_problem

make_problem = Messages(__file__)


def require_no_secrets(reference: Reference, platform: str) -> Reference:
    """Return the reference. Raise Unanswered if it contains a secret: it cannot be stored, but the run may exist."""
    if not isinstance(reference, Mapping):
        raise TypeError(f"{platform} answered with a {type(reference).__name__}; expected the reference of a run")
    if any(holds_secret(text) for pair in reference.items() for text in pair):
        title = f"platform {platform} failed: its reference to the run contains a secret"
        raise Unanswered([make_secret_problem(title)])
    return reference


def remove_run(record: RunRecord, platform: Platform, *, keeps_outputs: bool = False) -> int | None:
    """Remove the outputs of a run unless `keeps_outputs` is set, then its record.

    An interrupted removal can be repeated. Return the freed bytes; None if the outputs stay. Raise Rejected, which is
    RemovedInPart if some of it is gone.
    """
    with name_lock.removal_of_record(record.run):
        if record.phase != "sending":
            return None if keeps_outputs else _remove_outputs(record, platform)
        if not is_certainly_gone(record, platform):
            raise Rejected([make_problem("run-goes-on.may-run", run=record.run)])
        return 0


def _remove_outputs(record: RunRecord, platform: Platform) -> int | None:
    """Remove what a run left; return the freed bytes, None if it stays. Raise Rejected."""
    try:
        status = platform.engine.status(record.reference)
        if not status.finished:
            raise Rejected([make_problem("run-goes-on.not-removed", run=record.run, state=status.state)])
        return platform.engine.remove_outputs(record.reference)
    except RunGone:
        return 0
    except OSError as error:
        reason = error.strerror or str(error)
        raise Rejected([make_problem("run-not-removed", why=reason)]) from error


SAME_COMMAND = "the same command"


def make_adopted_note(record: RunRecord, can_be_new: bool) -> Problem:
    """Return the note about an interrupted submit whose run was found; `can_be_new` tells if it can offer `--new`."""
    way = suggest_new(record) if can_be_new else ""
    return make_problem("run-adopted.found", way, given=record.run, platform=record.platform)


def list_left_alone_warnings(records: Iterable[RunRecord]) -> Iterator[Problem]:
    """Yield warnings about interrupted submits that this submit does not finish."""
    for record in records:
        yield make_problem("run-interrupted.not-continued", run=record.run, platform=record.platform)


def make_unsure_problem(
    record: RunRecord, reason: str, answer: Unanswered | None = None, can_be_new: bool = False
) -> Problem:
    """Return the problem of a submit with an unknown result.

    :param answer: what the platform answered; then its suggestions are offered, and with `can_be_new` also `--new`.
    """
    ways = [Suggestion(SAME_COMMAND, "looks for the run, and submits it only if it does not exist")]
    if answer:
        reason = redact(str(answer), max_length=MAX_SENTENCE)
        ways += list_other_ways(answer.problems)
        ways += [suggest_new(record)] if can_be_new else []
    return make_problem("submit-unsure.no-answer", *ways, platform=record.platform, run=record.run, why=reason)


def list_other_ways(problems: Iterable[Problem]) -> list[Suggestion]:
    """Return the suggestions of problems, but for the same command, which is suggested already."""
    return [way for problem in problems for way in problem.suggestions if way.text != SAME_COMMAND]


def suggest_new(record: RunRecord) -> Suggestion:
    """Return the way of a submit that does not look for the interrupted one."""
    return Suggestion("--new", f"ignores {record.run} and starts a new run")


def is_from_other_machine(record: RunRecord) -> bool:
    """Return whether another machine submitted the run: this one may not see it."""
    return record.host not in ("", os.uname().nodename)


def format_error(error: BaseException) -> str:
    """Return an exception as one redacted sentence."""
    return f"{redact(f'{type(error).__name__}: {error}').rstrip('.: ')}."


ADOPTED_NOTE = "its submit was interrupted; the platform had the run, and it was adopted"


def make_sent_record(record: RunRecord, reference: Reference, *notes: str) -> RunRecord:
    """Return the record of a run that the platform has."""
    return dataclasses.replace(record, phase="sent", reference=reference, notes=(*record.notes, *notes))


class RunNotSubmitted(Rejected):
    """The platform does not have the run, as seen from this machine."""


def adopt_run(record: RunRecord, platform: Platform) -> RunRecord:
    """Return the record of an interrupted submit whose platform has the run, now in the phase `sent`.

    Raise RunNotSubmitted if the platform does not have it, Rejected if it is being submitted or the platform does not
    answer.
    """
    name_claim = name_lock.claim_exact_name(record.run, lambda interrupted: True)
    if name_claim is None or name_claim[1] is None:
        if name_claim:
            name_claim[0].release_and_remove()
        return name_lock.read_submitted_record(record.run)  # another process finished it, or works on it
    lock, record = name_claim[0], name_claim[1]
    with lock:
        reference = _find_recorded_run(record, platform)
        if reference is None:
            raise RunNotSubmitted([make_problem("run-not-sent", run=record.run, platform=record.platform)])
        adopted_record = make_sent_record(record, reference, ADOPTED_NOTE)
        records.write_record(adopted_record)
    return adopted_record


def is_certainly_gone(record: RunRecord, platform: Platform) -> bool:
    """Return whether an interrupted submit certainly created no run. Raise Rejected if the platform does not answer."""
    return not is_from_other_machine(record) and _find_recorded_run(record, platform) is None


def read_recorded_plan(record: RunRecord) -> RenderedPlan:
    """Return the stored plan of a record. Raise Rejected if it is missing or damaged."""
    stored_plan = plans.find_stored_plan(record.run)
    if stored_plan is None or stored_plan.plan.digest != record.plan:
        folder, way = stored_job.get_plan_folder(record.run), suggest_new(record)
        platform, run = record.platform, record.run
        message, parent = "submit-unsure.plan-damaged", folder.parent
        raise Rejected([make_problem(message, way, given=str(folder), platform=platform, run=run, parent=parent)])
    return stored_plan


def find_on_platform(
    plan: Plan, platform: Platform, make_unsure: Callable[[str, Unanswered | None], Problem]
) -> Reference | None:
    """Return the platform's reference to the run of a plan; None if it has none. Raise Rejected if that is not known.

    :param make_unsure: return the problem for a reason; for an Unanswered, with its suggestions.
    """
    try:
        reference = platform.engine.find(plan)
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


def make_unknown_outcome_problem(record: RunRecord, reason: str, answer: Unanswered | None) -> Problem:
    """Return the problem of an interrupted submit whose platform cannot tell if it has the run."""
    ways = [Suggestion(SAME_COMMAND, f"when {record.platform} answers again")]
    ways += list_other_ways(answer.problems) if answer else []
    return make_problem("submit-unsure.interrupted", *ways, run=record.run, platform=record.platform, why=reason)
