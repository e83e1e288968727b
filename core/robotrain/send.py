"""Sending a prepared job: preflight, the record written ahead, then the platform."""

import dataclasses
import time
from collections.abc import Callable, Iterable

from robotrain import store
from robotrain.api import Prepared
from robotrain.coerce import scalars
from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, raise_if_any
from robotrain.run import RunRecord

Report = Callable[[Iterable[Problem]], None]


def rehearse(prepared: Prepared, report: Report) -> Plan:
    """Everything but sending. Raises Rejected when preflight says it would fail."""
    plan = _ready(prepared, report)
    store.release(plan.run)
    return plan


def send(prepared: Prepared, report: Report, announce: Callable[[str], None]) -> RunRecord:
    """Hand the plan to the platform; the run's name goes to `announce` as soon as it was sent.

    report: takes what preflight remarks. Raises Rejected when preflight says it would fail, or the platform refuses;
    the name is then given back, as nothing runs under it.
    """
    plan = _ready(prepared, report)
    ahead = _record(plan, prepared)
    store.write(ahead)
    try:
        reference = prepared.platform.submit(plan)
    except Rejected:
        store.release(plan.run)
        raise
    record = dataclasses.replace(ahead, phase="sent", reference=reference)
    try:
        announce(record.run)  # before the record says `sent`: whoever is interrupted here knows the name
    finally:
        store.write(record)
    return record


def _ready(prepared: Prepared, report: Report) -> Plan:
    """The plan under a name nobody else has, which preflight lets pass. Whatever stops it gives the name back."""
    raise_if_any(store.unwritable())
    run = store.claim(prepared.resolution.job)
    try:
        plan = prepared.plan(attempt_of(run))
        found = list(prepared.platform.preflight(plan))
        raise_if_any(found)
    except BaseException:
        store.release(run)
        raise
    report(found)
    return plan


def attempt_of(run: str) -> int:
    """The attempt that a run's name ends in."""
    return int(run.rpartition("-")[2])


def _record(plan: Plan, prepared: Prepared) -> RunRecord:
    return RunRecord(
        run=plan.run,
        platform=plan.platform,
        phase="sending",
        job=plan.job.digest,
        plan=plan.digest,
        created=time.time(),
        workload=plan.job.workload,
        settings=dict(scalars(prepared.resolution.settings)),
        reference={},
    )
