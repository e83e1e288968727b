"""What an answer of the `osmo` command means when it is no success: in a sentence, with the way out.

`certain` is what a submit goes by: refused, and nothing is there; or nobody knows, and the service is asked later.
"""

import re
from dataclasses import dataclass

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact

from robotrain_osmo.cli import message, row
from robotrain_osmo.cli.command import Answer

UNKNOWN_WORKFLOW = row.UNKNOWN_WORKFLOW
UNREACHABLE = ("osmo-unreachable", "osmo-service-down", "osmo-busy", "osmo-overdue", "osmo-not-osmo")
"""What may pass by itself."""
PASSING = (*UNREACHABLE, "osmo-interrupted", "osmo-failed")
"""What is worth asking again a little later: the last two may be anything."""
LONGEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why not. code, title, where, why, instead: as of a Problem. name: what it is about, as the service calls it.

    certain: the service did nothing; else nobody knows. patience: seconds after which the same may work, 0 for never.
    """

    code: str
    title: str
    where: str = ""
    why: str = ""
    instead: tuple[Instead, ...] = ()
    certain: bool = True
    patience: float = 0.0
    name: str = ""

    def problem(self, stage: Stage = Stage.SUBMIT) -> Problem:
        """For the person who asked."""
        return Problem(
            code=self.code, stage=stage, title=self.title, where=self.where, why=self.why, instead=self.instead
        )


class Refused(Rejected):
    """A call that came to nothing; told well when it is let through."""

    def __init__(self, refusal: Refusal, stage: Stage = Stage.SUBMIT) -> None:
        super().__init__([refusal.problem(stage)], passing=refusal.code in PASSING)
        self.refusal = refusal


def of(answer: Answer) -> Refusal | None:
    """What an answer means; None when the command succeeded."""
    from robotrain_osmo.cli.table import ROWS

    if answer.overdue:
        return overdue()
    if answer.code == 0:
        return None
    said = message.body(message.of(answer))
    text = f"{said}\nHTTP {message.status(answer)}\n{answer.err}"
    for one in ROWS:
        found = re.search(one.pattern, text, re.DOTALL | re.MULTILINE)
        if found and (one.exits is None or answer.code in one.exits):
            return _of_row(one, found, said)
    return _unknown(answer, said)


def no_command(cli: str, sentence: str) -> Refusal:
    """The command is not there, or does not start."""
    return Refusal(
        code="osmo-command-missing",
        title="the `osmo` command could not be started",
        where="--osmo-cli",
        why=f"{redact(cli)}: {sentence}",
        instead=(
            Instead("--osmo-cli /path/to/osmo", "when it is installed elsewhere"),
            Instead("https://nvidia.github.io/OSMO/main/user_guide/getting_started/install", "how it is installed"),
        ),
    )


def overdue() -> Refusal:
    """No answer within the time limit."""
    return Refusal(
        code="osmo-overdue",
        title="OSMO gave no answer in time",
        why="The command was ended. A service behind a VPN or a port-forward that is down looks like this.",
        instead=(Instead("osmo version", "shows whether the service answers"),),
        certain=False,
    )


def no_json() -> Refusal:
    """It says it went well, and not what came of it."""
    return Refusal(
        code="osmo-not-osmo",
        title="what the `osmo` command answered is no JSON",
        instead=(Instead("osmo version", "shows whether command and service belong together"),),
        certain=False,
    )


def _of_row(one: row.Row, found: "re.Match[str]", said: str) -> Refusal:
    groups = [redact(group or "", longest=LONGEST) for group in (found[0], *found.groups())]
    return Refusal(
        code=one.code,
        title=one.title.format(*groups),
        where=one.where.format(*groups),
        why=one.why_of(said) if one.why_of else one.why.format(*groups),
        instead=tuple(Instead(way.text.format(*groups), way.remark.format(*groups)) for way in one.instead),
        certain=one.certain,
        patience=one.patience,
        name=groups[1] if len(groups) > 1 else "",
    )


def _unknown(answer: Answer, said: str) -> Refusal:
    """Words that nobody foresaw are shown. The service did nothing when it calls the request wrong."""
    line = redact(message.first_line(said), longest=LONGEST).rstrip(". ")
    if answer.code < 0:
        line = f"it was ended by signal {-answer.code}"
    return Refusal(
        code="osmo-failed",
        title=f"the `osmo` command failed: {line}" if line else "the `osmo` command failed without a word",
        why=f"It ended with exit code {answer.code}." if answer.code > 0 else "",
        certain=answer.code == 1 or (answer.code == 2 and 400 <= message.status(answer) < 500),
    )
