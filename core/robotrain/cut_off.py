"""A run whose submit was cut off: its platform is asked for it, and what is there is a run like every other."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import os
from typing import TYPE_CHECKING

from robotrain import leaks, record_problems, sent_plans, store
from robotrain.problem import Rejected, Unanswered
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.platforms import Platform
    from robotrain.run import Reference, RunRecord

ADOPTED = "its submit was cut off; the platform had it, and it was adopted"


class NotThere(Rejected):
    """The platform has no such run, as seen from here."""


def adopted(record: RunRecord, platform: Platform) -> RunRecord:
    """The record of a run that its platform has after all; it says `sent` from now on. Raises NotThere, and Rejected
    when it is being sent just now, or cannot be asked for.
    """
    claimed = store.claim_name(record.run, lambda found: True)
    if claimed is None or claimed[1] is None:
        if claimed:
            claimed[0].give_back()
        return store.sent(record.run)  # somebody else came to its end, or is at it
    held, record = claimed[0], claimed[1]
    with held:
        reference = there(record, platform)
        if reference is None:
            raise NotThere([record_problems.not_there(record, _elsewhere(record))])
        found = dataclasses.replace(record, phase="sent", reference=reference, notes=(*record.notes, ADOPTED))
        store.write(found)
    return found


def gone(record: RunRecord, platform: Platform) -> bool:
    """Whether it is certain that nothing became of it. Raises Rejected when it cannot be asked."""
    return not _elsewhere(record) and there(record, platform) is None


def there(record: RunRecord, platform: Platform) -> Reference | None:
    """Where it runs, by the plan that was kept; None where its platform has none. Raises Rejected when that is not
    known.
    """
    kept = sent_plans.read_if_kept(record.run)
    if kept is None or kept.plan.digest != record.plan:
        from robotrain import send_problems

        raise Rejected([send_problems.plan_damaged(record, sent_plans.folder(record.run))])
    try:
        reference = platform.find(kept.plan)
        return reference and leaks.free_reference(reference, record.platform)
    except Unanswered as unanswered:
        ways = [way for problem in unanswered.problems for way in problem.instead]
        raise Rejected([record_problems.unsure(record, str(unanswered), *ways)], passing=True) from unanswered
    except Rejected as rejected:
        problems = [record_problems.unsure(record, ""), *rejected.problems]
        raise Rejected(problems, passing=rejected.passing) from rejected
    except Exception as error:  # whatever a plugin raises
        why = f"{redact(f'{type(error).__name__}: {error}').rstrip('.: ')}."
        raise Rejected([record_problems.unsure(record, why)], passing=True) from error


def _elsewhere(record: RunRecord) -> bool:
    return record.host not in ("", os.uname().nodename)
