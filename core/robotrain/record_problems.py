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


def not_sent(record: RunRecord, now: bool) -> Problem:
    """A record at `sending`: what that means, and what to type. now: somebody is at it."""
    if now:
        return Problem(
            code="run-being-sent", stage=Stage.SUBMIT, title=f"{record.run} is being sent to {record.platform} just now"
        )
    asks = f"asks {record.platform}, and sends it only if it is not there"
    ways = (Instead("the same submit once more", asks), Instead(f"robotrain resubmit {record.run}", "does the same"))
    return Problem(
        code="run-not-sent",
        stage=Stage.SUBMIT,
        title=f"sending {record.run} was cut off before {record.platform} confirmed it",
        why=f"If it runs, {record.platform} knows it by this name.",
        instead=ways,
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
