"""What can be wrong with the records of runs, and what to do about it."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import errno
import os
from typing import TYPE_CHECKING

from robotrain import folders
from robotrain.problem import Instead, Problem, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.run import RunRecord


def unlockable() -> Problem:
    """Nobody could tell a submit that goes on from one that was cut off."""
    return Problem(
        code="state-folder-unlockable",
        stage=Stage.PREFLIGHT,
        title="files cannot be locked in the folder that records runs",
        where="ROBOTRAIN_STATE" if os.environ.get("ROBOTRAIN_STATE") else "",
        given=str(folders.state()),
        why="Without locks a submit that was cut off cannot be told from one that is under way.",
        instead=(Instead("ROBOTRAIN_STATE=FOLDER robotrain …", "a folder on a disk of this machine"),),
    )


def unwritable(error: OSError) -> Problem:
    """Nothing can be kept of a run."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Problem(
        code="state-folder-unwritable",
        stage=Stage.PREFLIGHT,
        title="the folder that records runs is full" if full else "the folder that records runs cannot be written",
        where="ROBOTRAIN_STATE" if os.environ.get("ROBOTRAIN_STATE") else "",
        given=str(folders.state()),
        why=f"{error.strerror or error}: a job sent without a record could not be found again.",
        instead=(Instead("ROBOTRAIN_STATE=FOLDER robotrain …", "a folder that can be written"),),
    )


def being_sent(record: RunRecord) -> Problem:
    """Somebody is at it."""
    return Problem(
        code="run-being-sent", stage=Stage.SUBMIT, title=f"{record.run} is being sent to {record.platform} just now"
    )


def not_sent(record: RunRecord) -> Problem:
    """A record at `sending` that nobody is at: what that means, and what to type."""
    return Problem(
        code="run-not-sent",
        stage=Stage.SUBMIT,
        title=f"sending {record.run} was cut off before {record.platform} confirmed it",
        instead=(Instead(f"robotrain status {record.run}", f"asks {record.platform} for it"),),
    )


def not_there(record: RunRecord, elsewhere: bool) -> Problem:
    """Its platform was asked for it. elsewhere: another machine was sending it."""
    asks = f"asks {record.platform} again, and sends it if it is still not there"
    ways = [Instead("the same submit once more", asks), Instead(f"robotrain resubmit {record.run}", "does the same")]
    drop = Instead("robotrain runs --prune --state interrupted --keep 0", "forgets what was never taken")
    seen = f"from here {record.platform} does not have it" if elsewhere else f"{record.platform} has no such run"
    return Problem(
        code="run-not-sent",
        stage=Stage.SUBMIT,
        title=f"sending {record.run} was cut off, and {seen}",
        why=f"What runs on {record.host} alone cannot be seen from here." if elsewhere else "",
        instead=(*ways, *([] if elsewhere else [drop])),
    )


def unsure(record: RunRecord, why: str, *instead: Instead) -> Problem:
    """Its platform could not be asked for it, or does not know. why: a sentence."""
    return Problem(
        code="run-unsure",
        stage=Stage.SUBMIT,
        title=f"sending {record.run} was cut off, and whether {record.platform} has it is not known",
        why=why,
        instead=(Instead("the same command", f"once {record.platform} can be asked"), *instead),
    )


def broken(path: Path, why: str) -> Problem:
    """A record that cannot be read."""
    return Problem(
        code="record-broken",
        stage=Stage.SUBMIT,
        title=f"the record of run {path.parent.name} cannot be read",
        where=str(path),
        why=f"{why}.",
        instead=(Instead(f"rm -r {path.parent}", "robotrain forgets this run; the run itself is not touched"),),
    )
