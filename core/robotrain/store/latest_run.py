"""Which run `latest` means, or a RUN that is left out: the newest that has what the command needs."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from robotrain.errors import Rejected
from robotrain.model.run import RunRecord
from robotrain.store import records

LATEST = "latest"
NEWEST_NAMES = ("", "last", LATEST)
REFERENCE_ROLE = "reference"
"""The role of the policies that an evaluation compares its own with."""


class RunNeed(NamedTuple):
    """What a command needs of a run."""

    phrase: str
    """What is said of the run that is taken: `the newest that has not ended`."""
    is_met: Callable[[RunRecord], bool]
    """Return whether a run has it, as far as its record and what was seen of it tell: no platform is asked."""


def _is_unfinished(record: RunRecord) -> bool:
    return records.read_final_status(record.run) is None


def _is_continuable(record: RunRecord) -> bool:
    return bool(record.steps) or (record.makes == "checkpoints" and record.outputs.resumable)


def _is_registrable(record: RunRecord) -> bool:
    """Return whether it is clear which policy of a run is meant: of a comparison, its own may be the loser."""
    return bool(record.steps) or (record.makes != "files" and REFERENCE_ROLE not in record.values)


UNFINISHED = RunNeed("the newest that was not seen to end", _is_unfinished)
CONTINUABLE = RunNeed("the newest that can be continued", _is_continuable)
REGISTRABLE = RunNeed("the newest with a policy to register", _is_registrable)


def find_latest_run(need: RunNeed | None = None) -> str:
    """Return the newest run that has what is needed; the newest of all where none has it, and empty without any."""
    newest_run = ""
    for run in records.iterate_runs(with_steps=False):
        newest_run = newest_run or run
        if need is None or _has(run, need):
            return run
    return newest_run


def iterate_runs_with(need: RunNeed) -> Iterator[str]:
    """Yield the runs that have what is needed, the newest first."""
    for run in records.iterate_runs(with_steps=False):
        if _has(run, need):
            yield run


def _has(run: str, need: RunNeed) -> bool:
    try:
        return need.is_met(records.read_record(run))
    except Rejected:  # a damaged record
        return False


def can_be_evaluated(record: RunRecord, flag: str) -> bool:
    """Return whether a run leaves what an option such as `--policy-run` takes: its workload says what evaluates it."""
    options = record.outputs.evaluation.split()
    return flag in options and record.outputs.not_evaluated_with not in record.values
