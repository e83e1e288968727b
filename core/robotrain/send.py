"""Sending: preflight, the plan and its record written ahead, then the platform. Never lost, never doubled.

A name is held while its job is sent. A record left at `sending` by a submit that was cut off is asked after first: the
platform has the run, and it is adopted; or it has not, and the plan that was kept is sent under the same name.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator

from robotrain import pin, send_problems, sent_plans, store
from robotrain.api import Prepared
from robotrain.coerce import scalars
from robotrain.held_name import HeldName
from robotrain.job import attempt_of
from robotrain.plan_folder import Rendered
from robotrain.platforms import Platform
from robotrain.problem import Problem, Rejected, raise_if_any
from robotrain.run import Reference, RunRecord

Report = Callable[[Iterable[Problem]], None]
Announce = Callable[[str], None]
ADOPTED = "its submit was cut off; the platform had it, and it was adopted"
SENT_AGAIN = "its submit was cut off before the platform had it; it was sent again"


@dataclasses.dataclass(frozen=True, slots=True)
class _Way:
    """Where something is sent, and who hears of it. new: whether `--new` could be said."""

    platform: Platform
    report: Report
    announce: Announce
    new: bool


def rehearse(prepared: Prepared, report: Report, *, new: bool = False, pinning: bool = True) -> Rendered:
    """Everything but sending. Raises Rejected when preflight says it would fail."""
    raise_if_any(store.unwritable())
    run = _let_go(store.claim(prepared.job, lambda record: not new and _same(record, prepared)), report)
    return _ready(prepared, attempt_of(run), report, pinning)


def rehearse_plan(rendered: Rendered, platform: Platform, report: Report) -> None:
    """The same of a plan as it is. Raises Rejected, also when its name is taken."""
    raise_if_any(store.unwritable())
    _let_go(_held(rendered), report)
    _look(rendered, platform, report)


def send(
    prepared: Prepared, report: Report, announce: Announce, *, new: bool = False, pinning: bool = True
) -> RunRecord:
    """Hand the job to its platform; the run's name goes to `announce` as soon as it was sent.

    report: takes what is worth remarking. new: leave alone what an earlier submit was cut off from. Raises Rejected
    when preflight says it would fail, or the platform refuses; the name is then given back: nothing runs under it.
    """
    raise_if_any(store.unwritable())
    way = _Way(prepared.platform, report, announce, new=True)
    left: dict[str, RunRecord] = {}  # of submits that were cut off, and not this one's to finish
    while True:
        held, interrupted = store.claim(prepared.job, lambda record: not new and _wanted(record, prepared, left))
        with held:
            if interrupted is None:
                report(send_problems.left_alone(left.values()))
                with _given_back_on_failure(held):
                    rendered = _ready(prepared, attempt_of(held.run), report, pinning)
                return _hand_over(held, rendered, way)
            if record := _reconcile(held, interrupted, _kept(interrupted), way):
                return record
            left[interrupted.run] = interrupted


def send_plan(rendered: Rendered, platform: Platform, report: Report, announce: Announce) -> RunRecord:
    """Send a plan as it is, under the name it was rendered for. Raises Rejected, also when that name is taken."""
    raise_if_any(store.unwritable())
    way = _Way(platform, report, announce, new=False)
    held, interrupted = _held(rendered)
    with held:
        if interrupted is None:
            with _given_back_on_failure(held):
                _look(rendered, platform, report)
            return _hand_over(held, rendered, way)
        if record := _reconcile(held, interrupted, rendered, way):
            return record
        raise Rejected([send_problems.elsewhere(interrupted)])


def _held(rendered: Rendered) -> tuple[HeldName, RunRecord | None]:
    """The name that a plan was rendered for. Raises Rejected when it is taken."""
    run = rendered.plan.run
    found = store.claim_name(run, lambda record: record.plan == rendered.plan.digest)
    if found is None:
        raise Rejected([send_problems.name_taken(run, _phase(run))])
    return found


def _phase(run: str) -> str:
    """That of a record, `held` while somebody sends it, and nothing when it cannot be read."""
    if store.being_sent(run):
        return "held"
    try:
        return store.read(run).phase
    except Rejected:
        return ""


def _let_go(claimed: tuple[HeldName, RunRecord | None], report: Report) -> str:
    """The name that would be sent under; nothing of it is kept."""
    held, interrupted = claimed
    if interrupted is None:
        held.give_back()
    else:
        held.let_go()
        report([send_problems.would_ask(interrupted)])
    return held.run


def _ready(prepared: Prepared, attempt: int, report: Report, pinning: bool) -> Rendered:
    """The plan, pinned, which preflight lets pass. Raises Rejected with what both say, and with pins that are gone."""
    gone = pin.gone(prepared.job, prepared.kinds)
    job, unpinned = pin.pinned(prepared.job, prepared.kinds) if pinning else (prepared.job, [])
    rendered = prepared.with_job(job).rendered(attempt)
    _look(rendered, prepared.platform, report, [*gone, *unpinned])
    return rendered


def _look(rendered: Rendered, platform: Platform, report: Report, found: Iterable[Problem] = ()) -> None:
    try:
        problems = [*found, *platform.preflight(rendered.plan)]
    except Rejected:
        raise
    except Exception as error:
        raise Rejected([*found, send_problems.no_look(platform.name, error)]) from error
    raise_if_any(problems)
    report(problems)


def _kept(record: RunRecord) -> Rendered:
    """The plan that a submit was cut off with, to ask for. Raises Rejected when it is damaged."""
    kept = sent_plans.read_if_kept(record.run)
    if kept is None or kept.plan.digest != record.plan:
        raise Rejected([send_problems.plan_damaged(record, sent_plans.folder(record.run))])
    return kept


def _reconcile(held: HeldName, record: RunRecord, kept: Rendered, way: _Way) -> RunRecord | None:
    """What an earlier submit was cut off from: adopted when the platform has it, else sent under the same name; None
    when another machine sent it, whose platform may have it all the same.
    """
    reference = _found(record, kept, way.platform)
    if reference is not None:
        way.report([send_problems.adopted(record, way.new)])
        return _tell(record, reference, way.announce, ADOPTED)
    if record.host not in ("", os.uname().nodename):
        return None
    way.report([send_problems.sent_again(record)])
    with _given_back_on_failure(held):  # it is known now that nothing runs under this name
        _look(kept, way.platform, way.report)
    return _hand_over(held, kept, way, SENT_AGAIN)


def _found(record: RunRecord, kept: Rendered, platform: Platform) -> Reference | None:
    """What the platform knows of it. Raises Rejected when it cannot be asked."""
    try:
        return platform.find(kept.plan)
    except Rejected as rejected:
        raise Rejected([send_problems.unsure(record, ""), *rejected.problems]) from rejected
    except Exception as error:
        raise Rejected([send_problems.unsure(record, error)]) from error


def _hand_over(held: HeldName, rendered: Rendered, way: _Way, *notes: str) -> RunRecord:
    """The plan and a record that says `sending` are kept, then the platform is asked to take it."""
    ahead = _record(rendered, notes)
    with _given_back_on_failure(held):
        sent_plans.keep(rendered)
        store.write(ahead)
    try:
        reference = way.platform.submit(rendered.plan)
    except Rejected:
        held.give_back()
        raise
    except KeyboardInterrupt:
        way.report([send_problems.unsure(ahead, "It was interrupted")])
        raise
    except (Exception, SystemExit) as error:
        raise Rejected([send_problems.unsure(ahead, error)]) from error
    return _tell(ahead, reference, way.announce)


def _tell(record: RunRecord, reference: Reference, announce: Announce, *notes: str) -> RunRecord:
    """The name first, then the record says `sent`: whoever is cut off in between knows the name."""
    sent = dataclasses.replace(record, phase="sent", reference=reference, notes=(*record.notes, *notes))
    try:
        announce(sent.run)
    finally:
        try:
            store.write(sent)
        except Rejected as rejected:
            raise Rejected([send_problems.unrecorded(sent, rejected.problems[0])]) from rejected
    return sent


@contextlib.contextmanager
def _given_back_on_failure(held: HeldName) -> Iterator[None]:
    """Whatever stops the block gives the name back: nothing was sent under it."""
    try:
        yield
    except BaseException:
        held.give_back()
        raise


def _wanted(record: RunRecord, prepared: Prepared, left: dict[str, RunRecord]) -> bool:
    """Whether what was cut off is this submit's to finish; what is not is gathered in `left`."""
    if record.run not in left and _same(record, prepared):
        return True
    if not store.being_sent(record.run):
        left[record.run] = record
    return False


def _same(record: RunRecord, prepared: Prepared) -> bool:
    """Whether a record is of this very job, on this platform, with these settings; and of one that was sent before,
    with its pins and its payload.
    """
    settings = dict(scalars(prepared.settings))
    here = (prepared.job.digest, prepared.platform.name, settings)
    if (record.job, record.platform, dict(record.settings)) != here:
        return False
    pins = [source.pin for source in prepared.job.sources]
    if not any(pins) and prepared.payload is None:
        return True
    kept = sent_plans.read_if_kept(record.run)
    if kept is None:
        return True  # what became of it cannot be asked, and that is said
    same_pins = all(pin in ("", source.pin) for pin, source in zip(pins, kept.plan.job.sources, strict=False))
    return same_pins and prepared.payload in (None, kept.payload)


def _record(rendered: Rendered, notes: Iterable[str]) -> RunRecord:
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
    )
