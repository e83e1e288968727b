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

from robotrain_runtime.document import Scalar, Source

from robotrain import leaks, pin, send_problems, sent_plans, settings_asked, store
from robotrain.api import Prepared
from robotrain.coerce import scalars
from robotrain.cut_off import ADOPTED
from robotrain.held_name import HeldName
from robotrain.job import attempt_of
from robotrain.plan_folder import Rendered
from robotrain.platforms import Platform
from robotrain.problem import NotSent, Problem, Rejected, Unanswered, errors, raise_if_any
from robotrain.run import Reference, RunRecord

Report = Callable[[Iterable[Problem]], None]
Announce = Callable[[str], None]
UNSEEN = "source-unreachable"
"""What a platform's look from here warns of, where the job may see the data all the same."""
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
    found = pin.gone(prepared.job, prepared.kinds, partial(_there, prepared, attempt))
    if pinning:
        prepared, unsettled = settled(prepared)
        found += unsettled
    rendered = prepared.rendered(attempt)
    _look(rendered, prepared.platform, report, found)
    return rendered


def _there(prepared: Prepared, attempt: int) -> Collection[Source]:
    """The sources that the platform has as they were pinned; none where it does not tell."""
    holds = getattr(prepared.platform, "holds", None)
    try:
        return list(holds(prepared.plan(attempt))) if holds else ()
    except Exception:  # what is missing is told all the same
        return ()


def settled(prepared: Prepared) -> tuple[Prepared, list[Problem]]:
    """The job with all that a network tells of it, asked side by side: pins, and what its platform says of itself."""
    asking = settings_asked.Asking(prepared)
    described = pin.described(prepared.platform.capabilities, prepared.halves)
    job, unpinned = pin.pinned(prepared.job, prepared.kinds, described)
    told, silent = asking.answer()
    return told.with_job(job), [*unpinned, *silent]


def _look(rendered: Rendered, platform: Platform, report: Report, found: Iterable[Problem] = ()) -> None:
    try:
        leaks.refuse(leaks.in_plan(rendered.plan))
        problems = [*found, *platform.preflight(rendered.plan)]
    except Rejected:
        raise
    except Exception as error:
        raise Rejected([*found, send_problems.no_look(platform.name, error)]) from error
    problems = _once(problems)
    raise_if_any(problems)
    report(problems)


def _once(problems: Iterable[Problem]) -> list[Problem]:
    """Without the warnings that an error repeats: what cannot be asked when a job is pinned stops it a moment later,
    and data that stops it is not doubted as well.
    """
    found = list(problems)
    stopping = {(one.code, one.title) for one in errors(found)} | {(UNSEEN, one.given) for one in errors(found)}
    return [
        one for one in found if one.severity == "error" or not {(one.code, one.title), (one.code, one.given)} & stopping
    ]


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
    reference = _found(record, kept, way)
    if reference is not None:
        way.report([send_problems.adopted(record, way.new)])
        return _tell(record, reference, way.announce, ADOPTED)
    if record.host not in ("", os.uname().nodename):
        return None
    way.report([send_problems.sent_again(record)])
    try:
        _look(kept, way.platform, way.report)
    except Rejected as rejected:  # what was asked for then may be there a little later: the name is not given away
        raise Rejected([*rejected.problems, send_problems.kept(record, way.new)]) from rejected
    sent_plans.keep(kept)
    return _asked(held, kept, way, SENT_AGAIN)


def _found(record: RunRecord, kept: Rendered, way: _Way) -> Reference | None:
    """What the platform knows of it. Raises Rejected when it cannot be asked."""
    try:
        reference = way.platform.find(kept.plan)
        return reference and leaks.free_reference(reference, record.platform)
    except Unanswered as unanswered:
        raise Rejected([send_problems.unanswered(record, unanswered, way.new)]) from unanswered
    except Rejected as rejected:
        raise Rejected([send_problems.unsure(record, ""), *rejected.problems]) from rejected
    except Exception as error:
        raise Rejected([send_problems.unsure(record, error)]) from error


def _hand_over(held: HeldName, rendered: Rendered, way: _Way) -> RunRecord:
    """The plan and a record that says `sending` are kept, then the platform is asked to take it."""
    with _given_back_on_failure(held):
        sent_plans.keep(rendered)
        store.write(_record(rendered, ()))
    return _asked(held, rendered, way)


def _asked(held: HeldName, rendered: Rendered, way: _Way, *notes: str) -> RunRecord:
    """The platform takes a plan whose record is kept. Raises Rejected."""
    ahead = _record(rendered, notes)
    try:
        reference = leaks.free_reference(way.platform.submit(rendered.plan), ahead.platform)
    except Rejected:
        held.give_back()
        raise
    except Unanswered as unanswered:
        raise Rejected([send_problems.unanswered(ahead, unanswered, way.new)]) from unanswered
    except NotSent:
        held.give_back()
        way.report([send_problems.not_sent(ahead)])
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
    if (record.job, record.platform) != (prepared.job.digest, prepared.platform.name):
        return False
    if not _same_settings(record, dict(scalars(prepared.settings))):
        return False
    pins = [source.pin for source in prepared.job.sources]
    if not any(pins) and prepared.payload is None:
        return True
    kept = sent_plans.read_if_kept(record.run)
    if kept is None:
        return True  # what became of it cannot be asked, and that is said
    same_pins = all(pin in ("", source.pin) for pin, source in zip(pins, kept.plan.job.sources, strict=False))
    return same_pins and prepared.payload in (None, kept.payload)


def _same_settings(record: RunRecord, here: Mapping[str, Scalar]) -> bool:
    """Whether it was sent with these, apart from what its platform told of itself then, and is not asked again."""
    other = {name for name in {*here, *record.settings} if here.get(name) != record.settings.get(name)}
    if not other or any(here.get(name) is not None for name in other):
        return not other
    kept = sent_plans.read_if_kept(record.run)
    return kept is None or other <= settings_asked.told(kept.values, record.platform)  # None: that is said, see `_same`


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
        makes=rendered.makes,
        outputs=plan.job.profile.outputs,
        metrics=plan.job.profile.metrics,
    )
