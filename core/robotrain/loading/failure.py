"""What a plugin did wrong: which plugin, in what, why, and the ways out."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

from robotrain.loading.ways import TRACEBACK, Unsuitable, out
from robotrain.problem import SENTENCE, Instead, Problem, Rejected, Stage

if TYPE_CHECKING:
    from robotrain.claims import Claim


class Failure(NamedTuple):
    """A claim that could not be kept, and why. hook: the hook or method it failed in; empty when it did not load."""

    claim: Claim
    cause: BaseException
    hook: str = ""

    @property
    def who(self) -> str:
        """The claim, and what brings it."""
        return f"{self.claim} ({self.claim.distribution})"

    @property
    def why(self) -> str:
        """The cause, in one line and without secrets: a message may hold the address it could not reach."""
        from robotrain.limited import Overdue
        from robotrain.redaction import redact

        told = redact(_said(self.cause), longest=SENTENCE)
        if isinstance(self.cause, (Unsuitable, Overdue)):
            return told
        return f"{type(self.cause).__name__}: {told}".rstrip(": ")

    @property
    def ways(self) -> tuple[Instead, ...]:
        """What to do about it; the last is to go on without the plugin."""
        return tuple(out(self.claim, self.cause))

    def problem(self, stage: Stage = Stage.SUBMIT, severity: Literal["error", "warning"] = "error") -> Problem:
        """As it is reported."""
        return Problem(code="plugin-failed", stage=stage, severity=severity, title=str(self), instead=self.ways)

    def __str__(self) -> str:
        return f"{self.who} failed {f'in {self.hook}' if self.hook else 'to load'}: {self.why}"


class PluginError(Rejected):
    """A plugin that was asked for cannot be had: nobody brings it, or it failed. strict: any that failed is the end."""

    def __init__(self, failure: Failure, strict: bool = False) -> None:
        super().__init__([failure.problem(Stage.USAGE if strict else Stage.SUBMIT)])


class NotInstalled(PluginError):
    """Nobody brings a name. near: whether another name may be meant."""

    def __init__(self, title: str, *ways: Instead, near: bool = True) -> None:
        self.near = near
        problem = Problem(code="plugin-failed", stage=Stage.USAGE, title=title, instead=ways)
        Rejected.__init__(self, [problem])


class Broken(Rejected):
    """A plugin failed while it was at work. passing: as of Rejected."""

    def __init__(self, failure: Failure, passing: bool = False) -> None:
        super().__init__([failure.problem()], passing)


def failed(claim: Claim, cause: BaseException, hook: str = "") -> Failure:
    """The failure; whoever mends the plugin sees at once where it is, with `ROBOTRAIN_TRACEBACK=1`."""
    if os.environ.get(TRACEBACK):
        _show(cause)
    return Failure(claim, cause, hook)


def _said(cause: BaseException) -> str:
    try:
        return str(cause)
    except Exception as worse:
        return f"its message cannot be had: {type(worse).__name__}"


def _show(cause: BaseException) -> None:
    import sys
    import traceback

    from robotrain.redaction import redact

    for text in traceback.format_exception(cause):
        for line in text.splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            print(indent + redact(line.strip(), longest=SENTENCE), file=sys.stderr)
