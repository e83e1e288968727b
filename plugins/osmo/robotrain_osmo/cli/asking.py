"""Asking the service through the `osmo` command, and being told: JSON, text, or why not."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from robotrain.problem import Stage

from robotrain_osmo.cli import command, refusals
from robotrain_osmo.cli.command import SECONDS, Answer
from robotrain_osmo.cli.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robotrain_osmo.cli.refusals import Refusal
    from robotrain_osmo.cli.stream import Stream

TRIES = {"osmo-render-time": 2, "osmo-busy": 4}
"""How often a call is made whose cause to fail passes by itself, by the code of its refusal."""


def ask(cli: str, *words: str, seconds: float = SECONDS, stage: Stage = Stage.SUBMIT) -> Any:
    """The JSON that the command answered. Raises Refused."""
    answer = _answered(cli, words, seconds, stage)
    try:
        return answer.json()
    except ValueError:
        raise Refused(refusals.no_json(), stage) from None


def said(cli: str, *words: str, seconds: float = SECONDS, stage: Stage = Stage.SUBMIT) -> str:
    """What the command printed. Raises Refused."""
    return _answered(cli, words, seconds, stage).out


def judge(answer: Answer, stage: Stage = Stage.SUBMIT) -> None:
    """Raise Refused when a call did not succeed."""
    refusal = refusals.of(answer)
    if refusal is not None:
        raise Refused(refusal, stage)


def called(
    cli: str,
    *words: str,
    seconds: float = SECONDS,
    stage: Stage = Stage.SUBMIT,
    shown: bool = False,
    holding: Sequence[int] = (),
) -> Answer:
    """The answer, whatever it is; shown, holding: as of `command.run`. Raises Refused when there is no such command."""
    try:
        return command.run(cli, *words, seconds=seconds, shown=shown, holding=holding)
    except command.NoCommand as error:
        raise Refused(refusals.no_command(cli, str(error)), stage) from error


def patiently(
    cli: str, *words: str, seconds: float = SECONDS, stage: Stage = Stage.SUBMIT, holding: Sequence[int] = ()
) -> tuple[Answer, Refusal | None]:
    """The answer, and why not; the call is made again, later each time, where the cause passes by itself. Raises
    Refused when there is no such command.
    """
    for attempt in itertools.count():
        answer = called(cli, *words, seconds=seconds, stage=stage, holding=holding)
        refusal = refusals.of(answer)
        if refusal is None or attempt + 1 >= TRIES.get(refusal.code, 1):
            break
        time.sleep(refusal.patience * 2**attempt)
    return answer, refusal


def stream(cli: str, *words: str, stage: Stage = Stage.SUBMIT) -> Stream:
    """Its lines as they come. Raises Refused when there is no such command."""
    try:
        return command.stream(cli, *words)
    except command.NoCommand as error:
        raise Refused(refusals.no_command(cli, str(error)), stage) from error


def _answered(cli: str, words: tuple[str, ...], seconds: float, stage: Stage) -> Answer:
    """The answer of a call that succeeded."""
    answer, refusal = patiently(cli, *words, seconds=seconds, stage=stage)
    if refusal is not None:
        raise Refused(refusal, stage)
    return answer
