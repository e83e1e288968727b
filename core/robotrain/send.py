"""Sending a prepared job: preflight, the record written ahead, then the platform."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

from robotrain import store
from robotrain.api import Prepared
from robotrain.coerce import scalars
from robotrain.plan import Plan
from robotrain.plugins import Plugins
from robotrain.problem import Rejected, raise_if_any
from robotrain.run import RunRecord


def rehearse(prepared: Prepared) -> Plan:
    """Everything but sending. Raises Rejected when preflight says it would fail."""
    with _claimed(prepared) as run:
        plan = prepared.plan(_attempt(run))
        raise_if_any(prepared.platform.preflight(plan))
        store.release(run)
    return plan


def send(prepared: Prepared, plugins: Plugins, announce: Callable[[str], None] | None) -> RunRecord:
    """Hand the plan to the platform. The run's name goes to `announce` as soon as it was sent.

    Raises Rejected when preflight says it would fail, or the platform refuses; the record is then taken back, as
    nothing runs under that name.
    """
    with _claimed(prepared) as run:
        plan = prepared.plan(_attempt(run))
        raise_if_any(prepared.platform.preflight(plan))
        ahead = RunRecord(
            run=run,
            platform=plan.platform,
            phase="sending",
            job=plan.job.digest,
            plan=plan.digest,
            created=time.time(),
            workload=plan.job.workload,
            settings=dict(scalars(prepared.resolution.settings)),
            reference={},
        )
        store.write(ahead)
        reference = prepared.platform.submit(plan)
    record = dataclasses.replace(ahead, phase="sent", reference=reference)
    if announce:
        announce(record.run)  # before the record says `sent`: whoever is interrupted here knows the name
    store.write(record)
    plugins.site_hooks().robotrain_run_changed(run=record)
    return record


@contextlib.contextmanager
def _claimed(prepared: Prepared) -> Iterator[str]:
    """A run name for this job; given back when nothing was sent under it."""
    raise_if_any(store.unwritable())
    run = store.claim(prepared.resolution.job)
    try:
        yield run
    except Rejected:
        store.release(run)
        raise


def _attempt(run: str) -> int:
    return int(run.rpartition("-")[2])
