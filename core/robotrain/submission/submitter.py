"""Sending: preflight, the plan and its record written ahead, then the platform. Never lost, never doubled.

A name is held while its job is sent. A record left at `sending` by a submit that was cut off is asked after first: the
platform has the run, and it is adopted; or it has not, and the plan that was kept is sent under the same name.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial

from robotrain_runtime.contract.document import JobSource, Scalar

from robotrain import redaction
from robotrain.config.coerce import list_fields
from robotrain.errors import NotSubmitted, Problem, Rejected, Unanswered, raise_if_any, select_errors
from robotrain.model.job import parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import Reference, RunRecord
from robotrain.store import name_lock, plans, records
from robotrain.store.name_lock import NameLock
from robotrain.submission import pin, prepare, reconcile
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.reconcile import ADOPTED_NOTE

ReportProblems = Callable[[Iterable[Problem]], None]
AnnounceRun = Callable[[str], None]
UNREACHABLE_CODE = "source-unreachable"
"""What a platform's look from here warns of, where the job may see the data all the same."""
RESUBMITTED_NOTE = "its submit was cut off before the platform had it; it was sent again"


@dataclasses.dataclass(frozen=True, slots=True)
class SubmitContext:
    """Where something is sent, and who hears of it. new: whether `--new` could be said."""

    platform: Platform
    report: ReportProblems
    announce: AnnounceRun
    new: bool


def dry_run_job(
    prepared: PreparedJob, report: ReportProblems, *, new: bool = False, pinning: bool = True
) -> RenderedPlan:
    """Everything but sending. Raises Rejected when preflight says it would fail."""
    raise_if_any(name_lock.check_state_folder())
    run = _release_claim(
        name_lock.claim_run_name(prepared.job, lambda record: not new and _is_same_submission(record, prepared)), report
    )
    return _render_and_preflight(prepared, parse_attempt(run), report, pinning)


def dry_run_plan(rendered: RenderedPlan, platform: Platform, report: ReportProblems) -> None:
    """The same of a plan as it is. Raises Rejected, also when its name is taken."""
    raise_if_any(name_lock.check_state_folder())
    _release_claim(_claim_plan_name(rendered), report)
    _run_preflight(rendered, platform, report)


def submit_job(
    prepared: PreparedJob, report: ReportProblems, announce: AnnounceRun, *, new: bool = False, pinning: bool = True
) -> RunRecord:
    """Hand the job to its platform; the run's name goes to `announce` as soon as it was sent.

    report: takes what is worth remarking. new: leave alone what an earlier submit was cut off from. Raises Rejected
    when preflight says it would fail, or the platform refuses; the name is then given back: nothing runs under it.
    """
    raise_if_any(name_lock.check_state_folder())
    way = SubmitContext(prepared.platform, report, announce, new=True)
    left: dict[str, RunRecord] = {}  # of submits that were cut off, and not this one's to finish
    while True:
        held, interrupted = name_lock.claim_run_name(
            prepared.job, lambda record: not new and _is_ours_to_finish(record, prepared, left)
        )
        with held:
            if interrupted is None:
                report(reconcile.list_left_alone_warnings(left.values()))
                with _release_on_failure(held):
                    rendered = _render_and_preflight(prepared, parse_attempt(held.run), report, pinning)
                return _store_and_submit(held, rendered, way)
            if record := _reconcile_interrupted(held, interrupted, _read_interrupted_plan(interrupted), way):
                return record
            left[interrupted.run] = interrupted


def submit_plan(rendered: RenderedPlan, platform: Platform, report: ReportProblems, announce: AnnounceRun) -> RunRecord:
    """Send a plan as it is, under the name it was rendered for. Raises Rejected, also when that name is taken."""
    raise_if_any(name_lock.check_state_folder())
    way = SubmitContext(platform, report, announce, new=False)
    held, interrupted = _claim_plan_name(rendered)
    with held:
        if interrupted is None:
            with _release_on_failure(held):
                _run_preflight(rendered, platform, report)
            return _store_and_submit(held, rendered, way)
        if record := _reconcile_interrupted(held, interrupted, rendered, way):
            return record
        raise Rejected([reconcile.make_other_machine_problem(interrupted)])


def _claim_plan_name(rendered: RenderedPlan) -> tuple[NameLock, RunRecord | None]:
    """The name that a plan was rendered for. Raises Rejected when it is taken."""
    run = rendered.plan.run
    found = name_lock.claim_exact_name(run, lambda record: record.plan == rendered.plan.digest)
    if found is None:
        raise Rejected([reconcile.make_name_taken_problem(run, _read_phase(run))])
    return found


def _read_phase(run: str) -> str:
    """That of a record, `held` while somebody sends it, and nothing when it cannot be read."""
    if name_lock.is_being_submitted(run):
        return "held"
    try:
        return records.read_record(run).phase
    except Rejected:
        return ""


def _release_claim(claimed: tuple[NameLock, RunRecord | None], report: ReportProblems) -> str:
    """The name that would be sent under; nothing of it is kept."""
    held, interrupted = claimed
    if interrupted is None:
        held.release_and_remove()
    else:
        held.release()
        report([reconcile.make_dry_run_note(interrupted)])
    return held.run


def _render_and_preflight(prepared: PreparedJob, attempt: int, report: ReportProblems, pinning: bool) -> RenderedPlan:
    """The plan, pinned, which preflight lets pass. Raises Rejected with what both say, and with pins that are gone."""
    found = pin.find_lost_pins(prepared.job, prepared.kinds, partial(_list_uploaded, prepared, attempt))
    if pinning:
        prepared, unsettled = query_network(prepared)
        found += unsettled
    rendered = prepared.render(attempt)
    _run_preflight(rendered, prepared.platform, report, found)
    return rendered


def _list_uploaded(prepared: PreparedJob, attempt: int) -> Collection[JobSource]:
    """The sources that the platform has as they were pinned; none where it does not tell."""
    try:
        return list(prepared.platform.find_uploaded(prepared.render_plan(attempt)))
    except Exception:  # what is missing is told all the same
        return ()


def query_network(prepared: PreparedJob) -> tuple[PreparedJob, list[Problem]]:
    """The job with all that a network tells of it, asked side by side: pins, and what its platform says of itself."""
    asking = pin.PlatformSettingsQuery(prepared)
    described = pin.find_describing_files(prepared.platform.capabilities, prepared.container_plugins)
    job, unpinned = pin.pin_job(prepared.job, prepared.kinds, described)
    told, silent = asking.wait_for_answer()
    return told.with_job(job), [*unpinned, *silent]


def _run_preflight(
    rendered: RenderedPlan, platform: Platform, report: ReportProblems, earlier_problems: Iterable[Problem] = ()
) -> None:
    try:
        redaction.raise_if_found(prepare.find_secrets_in_plan(rendered.plan))
        problems = [*earlier_problems, *platform.preflight(rendered.plan)]
    except Rejected:
        raise
    except Exception as error:
        raise Rejected([*earlier_problems, reconcile.make_preflight_failed_problem(platform.name, error)]) from error
    problems = _deduplicate(problems)
    raise_if_any(problems)
    report(problems)


def _deduplicate(problems: Iterable[Problem]) -> list[Problem]:
    """Without the warnings that an error repeats: what cannot be asked when a job is pinned stops it a moment later,
    and data that stops it is not doubted as well.
    """
    found = list(problems)
    stopping = {(one.code, one.title) for one in select_errors(found)} | {
        (UNREACHABLE_CODE, one.given) for one in select_errors(found)
    }
    return [
        one for one in found if one.severity == "error" or not {(one.code, one.title), (one.code, one.given)} & stopping
    ]


def _read_interrupted_plan(record: RunRecord) -> RenderedPlan:
    """The plan that a submit was cut off with, to ask for. Raises Rejected when it is damaged."""
    kept = plans.find_stored_plan(record.run)
    if kept is None or kept.plan.digest != record.plan:
        raise Rejected([reconcile.make_damaged_plan_problem(record, plans.get_plan_folder(record.run))])
    return kept


def _reconcile_interrupted(
    lock: NameLock, record: RunRecord, rendered: RenderedPlan, context: SubmitContext
) -> RunRecord | None:
    """What an earlier submit was cut off from: adopted when the platform has it, else sent under the same name; None
    when another machine sent it, whose platform may have it all the same.
    """
    reference = _find_reference(record, rendered, context)
    if reference is not None:
        context.report([reconcile.make_adopted_note(record, context.new)])
        return _announce_and_record(record, reference, context.announce, ADOPTED_NOTE)
    if record.host not in ("", os.uname().nodename):
        return None
    context.report([reconcile.make_resubmitted_note(record)])
    try:
        _run_preflight(rendered, context.platform, context.report)
    except Rejected as rejected:  # what was asked for then may be there a little later: the name is not given away
        raise Rejected([*rejected.problems, reconcile.make_unfinished_note(record, context.new)]) from rejected
    plans.store_plan(rendered)
    return _submit_to_platform(lock, rendered, context, RESUBMITTED_NOTE)


def _find_reference(record: RunRecord, rendered: RenderedPlan, context: SubmitContext) -> Reference | None:
    """What the platform knows of it. Raises Rejected when it cannot be asked."""
    try:
        reference = context.platform.find(rendered.plan)
        return reference and redaction.require_no_secrets(reference, record.platform)
    except Unanswered as unanswered:
        raise Rejected([reconcile.make_unanswered_problem(record, unanswered, context.new)]) from unanswered
    except Rejected as rejected:
        raise Rejected([reconcile.make_unsure_problem(record, ""), *rejected.problems]) from rejected
    except Exception as error:
        raise Rejected([reconcile.make_unsure_problem(record, error)]) from error


def _store_and_submit(lock: NameLock, rendered: RenderedPlan, context: SubmitContext) -> RunRecord:
    """The plan and a record that says `sending` are kept, then the platform is asked to take it."""
    with _release_on_failure(lock):
        plans.store_plan(rendered)
        records.write_record(_make_record(rendered, ()))
    return _submit_to_platform(lock, rendered, context)


def _submit_to_platform(lock: NameLock, rendered: RenderedPlan, context: SubmitContext, *notes: str) -> RunRecord:
    """The platform takes a plan whose record is kept. Raises Rejected."""
    ahead = _make_record(rendered, notes)
    try:
        reference = redaction.require_no_secrets(context.platform.submit(rendered.plan), ahead.platform)
    except Rejected:
        lock.release_and_remove()
        raise
    except Unanswered as unanswered:
        raise Rejected([reconcile.make_unanswered_problem(ahead, unanswered, context.new)]) from unanswered
    except NotSubmitted:
        lock.release_and_remove()
        context.report([reconcile.make_interrupted_note(ahead)])
        raise
    except KeyboardInterrupt:
        context.report([reconcile.make_unsure_problem(ahead, "It was interrupted")])
        raise
    except (Exception, SystemExit) as error:
        raise Rejected([reconcile.make_unsure_problem(ahead, error)]) from error
    return _announce_and_record(ahead, reference, context.announce)


def _announce_and_record(record: RunRecord, reference: Reference, announce: AnnounceRun, *notes: str) -> RunRecord:
    """The name first, then the record says `sent`: whoever is cut off in between knows the name."""
    sent = dataclasses.replace(record, phase="sent", reference=reference, notes=(*record.notes, *notes))
    try:
        announce(sent.run)
    finally:
        try:
            records.write_record(sent)
        except Rejected as rejected:
            raise Rejected([reconcile.make_unrecorded_problem(sent, rejected.problems[0])]) from rejected
    return sent


@contextlib.contextmanager
def _release_on_failure(lock: NameLock) -> Iterator[None]:
    """Whatever stops the block gives the name back: nothing was sent under it."""
    try:
        yield
    except BaseException:
        lock.release_and_remove()
        raise


def _is_ours_to_finish(record: RunRecord, prepared: PreparedJob, left_alone: dict[str, RunRecord]) -> bool:
    """Whether what was cut off is this submit's to finish; what is not is gathered in `left`."""
    if record.run not in left_alone and _is_same_submission(record, prepared):
        return True
    if not name_lock.is_being_submitted(record.run):
        left_alone[record.run] = record
    return False


def _is_same_submission(record: RunRecord, prepared: PreparedJob) -> bool:
    """Whether a record is of this very job, on this platform, with these settings; and of one that was sent before,
    with its pins and its payload.
    """
    if (record.job, record.platform) != (prepared.job.digest, prepared.platform.name):
        return False
    if not _has_same_settings(record, dict(list_fields(prepared.settings))):
        return False
    pins = [source.pin for source in prepared.job.sources]
    if not any(pins) and prepared.payload is None:
        return True
    kept = plans.find_stored_plan(record.run)
    if kept is None:
        return True  # what became of it cannot be asked, and that is said
    same_pins = all(pin in ("", source.pin) for pin, source in zip(pins, kept.plan.job.sources, strict=False))
    return same_pins and prepared.payload in (None, kept.payload)


def _has_same_settings(record: RunRecord, settings: Mapping[str, Scalar]) -> bool:
    """Whether it was sent with these, apart from what its platform told of itself then, and is not asked again."""
    other = {name for name in {*settings, *record.settings} if settings.get(name) != record.settings.get(name)}
    if not other or any(settings.get(name) is not None for name in other):
        return not other
    kept = plans.find_stored_plan(record.run)
    return kept is None or other <= pin.list_platform_given_names(
        kept.values, record.platform
    )  # None: that is said, see `_same`


def _make_record(rendered: RenderedPlan, notes: Iterable[str]) -> RunRecord:
    plan = rendered.plan
    return RunRecord(
        run=plan.run,
        platform=plan.platform,
        phase="sending",
        job=plan.job.digest,
        plan=plan.digest,
        created=time.time(),
        workload=plan.job.workload,
        settings=rendered.settings,
        reference={},
        host=os.uname().nodename,
        notes=tuple(notes),
        makes=rendered.produces,
        outputs=plan.job.profile.outputs,
        metrics=plan.job.profile.metrics,
    )
