"""Asking before something is removed, and what was typed about what may go."""

import sys
from collections.abc import Callable
from typing import TypeVar

from robotrain.cli.output import say
from robotrain.problem import Instead, Problem, Rejected, Stage

T = TypeVar("T")


def confirmed(what: str, yes: bool) -> bool:
    """Whether `what` may go: it was said already, or somebody at the terminal says so now."""
    if yes:
        return True
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        say("nothing was removed: --yes removes it")
        return False
    sys.stderr.write(f"remove {what}? [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")  # what is said of it stands on a line of its own
        raise
    if answer.strip().lower() in ("y", "yes"):
        return True
    say("nothing was removed")
    return False


def amount(parse: Callable[[str], T], text: str, flag: str, example: str) -> T | None:
    """What `text` says; None when it is empty. Raises Rejected."""
    from robotrain.redaction import redact

    try:
        return parse(text) if text else None
    except ValueError as error:
        problem = Problem(
            code="value-invalid",
            stage=Stage.USAGE,
            title=f"{flag}: {error}",
            where=flag,
            given=redact(text),
            instead=(Instead(f"{flag} {example}"),),
        )
        raise Rejected([problem]) from None


def usage(title: str, why: str, *ways: tuple[str, str]) -> Rejected:
    """What was typed does not go together."""
    instead = tuple(Instead(text, remark) for text, remark in ways)
    return Rejected([Problem(code="usage", stage=Stage.USAGE, title=title, why=why, instead=instead)])


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty())
