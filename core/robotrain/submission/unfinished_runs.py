"""Runs that have not ended, as their platforms answer now."""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from robotrain import network_deadline
from robotrain.model.run import RunGone, RunRecord, Status
from robotrain.plugins.manager import Plugins
from robotrain.store import records

LOST = "lost"


class UnfinishedRun(NamedTuple):
    """A run that has not ended, or of which that is not known."""

    record: RunRecord
    status: Status | None
    """None if its platform did not answer."""
    error: BaseException | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it is a pipeline whose driver was stopped: its steps may still run."""
        return self.status is not None and self.status.state == LOST


def list_unfinished(run_records: Iterable[RunRecord], plugins: Plugins) -> list[UnfinishedRun]:
    """Return the submitted runs that have not ended, or whose platform does not tell, in the given order."""

    def query(record: RunRecord) -> Status:
        return plugins.platform_of(record).engine.status(record.reference)

    def has_ended(record: RunRecord) -> bool:
        final_status = records.read_final_status(record.run)
        return final_status is not None and final_status.state != LOST  # a run that was lost may be found again

    sent_records = [record for record in run_records if record.phase == "sent" and not has_ended(record)]
    records_by_platform: dict[str, list[RunRecord]] = {}
    for record in sent_records:
        records_by_platform.setdefault(record.platform, []).append(record)
    questions = [[partial(query, record) for record in group] for group in records_by_platform.values()]
    limit = network_deadline.get_limit(network_deadline.LONG_SECONDS)
    reply_by_run = {
        record.run: reply
        for group, group_replies in zip(
            records_by_platform.values(), network_deadline.ask_all(questions, limit), strict=True
        )
        for record, reply in zip(group, group_replies, strict=True)
    }
    return list(filter(None, (_read_answer(record, reply_by_run[record.run]) for record in sent_records)))


def _read_answer(record: RunRecord, answer: network_deadline.Reply) -> UnfinishedRun | None:
    """Return a run with what its platform answers; None if it has ended."""
    status: Status = answer.value
    if isinstance(answer.error, RunGone):
        return None
    if answer.error is not None:  # whatever a plugin raises
        return UnfinishedRun(record, None, answer.error)
    records.save_final_status(record.run, status)
    goes_on = not status.finished or (record.steps and status.state == LOST)
    return UnfinishedRun(record, status) if goes_on else None
