"""What can be said of a submit, of one that was cut off, and what to do about it."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from robotrain.problem import SENTENCE, Instead, Problem, Stage, Unanswered
from robotrain.redaction import redact
from robotrain.run import RunRecord

AGAIN = "the same command"


def adopted(record: RunRecord, new: bool) -> Problem:
    """The platform had it. new: whether `--new` could be said."""
    title = f"an earlier submit of this job was cut off; {record.platform} had taken it"
    return _note("run-adopted", title, record, *([_new(record)] if new else []))


def sent_again(record: RunRecord) -> Problem:
    """The platform did not have it."""
    title = f"an earlier submit of this job was cut off before {record.platform} took it"
    return _note("run-sent-again", title, record)


def kept(record: RunRecord, new: bool) -> Problem:
    """Preflight does not let pass what an earlier submit was cut off from. new: whether `--new` could be said."""
    title = f"the earlier submit of {record.run} was not finished; the same command goes on with it, once it can"
    return _note("run-interrupted", title, record, *([_new(record)] if new else []))


def not_sent(record: RunRecord) -> Problem:
    """It was interrupted in time."""
    return _note("submit-interrupted", f"interrupted; nothing was sent to {record.platform}", record)


def would_ask(record: RunRecord) -> Problem:
    """Told when nothing is sent: what a submit would do first."""
    title = f"an earlier submit of this job was cut off; a submit asks {record.platform} for it first"
    return _note("run-interrupted", title, record)


def left_alone(records: Iterable[RunRecord]) -> Iterator[Problem]:
    """Submits that were cut off, and are not this one's to finish."""
    for record in records:
        yield Problem(
            code="run-interrupted",
            stage=Stage.SUBMIT,
            severity="warning",
            title=f"sending {record.run} to {record.platform}{_at(record)} was cut off, and it is left alone",
            why=_why_left(record),
            instead=(
                Instead(f"robotrain status {record.run}", f"{_there(record)}says whether it runs"),
                Instead(f"robotrain cancel {record.run}", "stops it, if it does"),
                Instead(f"robotrain resubmit {record.run}", "sends it, if it does not"),
            ),
        )


def elsewhere(record: RunRecord) -> Problem:
    """A plan that another machine was sending, and that the platform does not have as seen from here."""
    return Problem(
        code="run-interrupted",
        stage=Stage.SUBMIT,
        title=f"sending {record.run}{_at(record)} was cut off, and from here {record.platform} does not have it",
        why="What runs on that machine alone cannot be seen from this one.",
        instead=(Instead("the same command", f"{_there(record)}finds out what became of it"),),
    )


def unsure(record: RunRecord, why: str | BaseException) -> Problem:
    """Nobody knows whether the platform has it."""
    return Problem(
        code="submit-unsure",
        stage=Stage.SUBMIT,
        title=f"whether {record.platform} took {record.run} is not known",
        why=_said(why),
        instead=(Instead(AGAIN, "asks, and sends it only if it is not there"),),
    )


def unanswered(record: RunRecord, said: Unanswered, new: bool) -> Problem:
    """The same, in the platform's words. new: whether `--new` could be said."""
    ways = [way for problem in said.problems for way in problem.instead if way.text != AGAIN]
    problem = unsure(record, "")
    instead = (*problem.instead, *ways, *([_new(record)] if new else []))
    return dataclasses.replace(problem, why=redact(str(said), longest=SENTENCE), instead=instead)


def plan_damaged(record: RunRecord, folder: Path) -> Problem:
    """A submit that was cut off, and nothing left to ask the platform with."""
    return Problem(
        code="submit-unsure",
        stage=Stage.SUBMIT,
        title=f"whether {record.platform} took {record.run} cannot be asked: its plan is damaged",
        given=str(folder),
        why=f"If it runs, its name on {record.platform} is this one, or begins with it.",
        instead=(_new(record), Instead(f"rm -r {folder.parent}", "forgets it, when you know that it does not run")),
    )


def no_look(platform: str, error: Exception) -> Problem:
    """Preflight came to no answer."""
    return Problem(
        code="preflight-failed",
        stage=Stage.PREFLIGHT,
        title=f"whether it would run on {platform} could not be found out",
        why=_said(error),
    )


def unrecorded(record: RunRecord, problem: Problem) -> Problem:
    """It runs, and its record still says that it is being sent."""
    return Problem(
        code="run-unrecorded",
        stage=Stage.SUBMIT,
        title=f"{record.run} was sent to {record.platform}, and that could not be recorded",
        given=problem.given,
        why=f"{problem.title[:1].upper()}{problem.title[1:]}.",
        instead=(Instead("the same command", "when it can: it finds the run and records it"),),
    )


def name_taken(run: str, phase: str) -> Problem:
    """A plan has the name it was rendered for, and no other."""
    said = {
        "sent": f"{run} was sent already",
        "sending": f"sending another plan as {run} was cut off",
        "held": f"{run} is being sent at this moment",
    }
    ways = [Instead("robotrain render … --attempt N --to FOLDER", "renders the same job under another name")]
    if phase == "sent":
        ways.append(Instead(f"robotrain resubmit {run}", "sends what was sent as its next attempt"))
    if phase == "sending":
        ways.append(Instead(f"robotrain resubmit {run}", "finds out what became of that one"))
    title = said.get(phase, f"the name {run} is taken")
    return Problem(code="run-name-taken", stage=Stage.USAGE, title=title, given=run, instead=tuple(ways))


def _note(code: str, title: str, record: RunRecord, *instead: Instead) -> Problem:
    return Problem(code=code, stage=Stage.SUBMIT, severity="note", title=title, given=record.run, instead=instead)


def _why_left(record: RunRecord) -> str:
    if _of_another_machine(record):
        return f"From here {record.platform} does not have it; what runs on that machine alone cannot be seen."
    return "It was sent with other settings, pins or payload than these."


def _new(record: RunRecord) -> Instead:
    return Instead("--new", f"leaves {record.run} alone and sends the job as a run of its own")


def _at(record: RunRecord) -> str:
    return f" from {record.host}" if _of_another_machine(record) else ""


def _there(record: RunRecord) -> str:
    return f"on {record.host}, " if _of_another_machine(record) else ""


def _of_another_machine(record: RunRecord) -> bool:
    return record.host not in ("", os.uname().nodename)


def _said(why: str | BaseException) -> str:
    """In one sentence, without what an address or a header may carry."""
    text = f"{type(why).__name__}: {why}" if isinstance(why, BaseException) else why
    return f"{redact(text).rstrip('.: ')}." if text else ""
