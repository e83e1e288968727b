"""Calls of a plugin's code: what it prints is no result, and what it should not raise is told as its failure."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from robotrain import aside
from robotrain.loading.failure import Broken, failed
from robotrain.problem import Problem, Rejected, Unanswered

if TYPE_CHECKING:
    from robotrain.claims import Claim

Passes = tuple[type[Exception], ...]
PROBLEMS = "an iterable of robotrain.problem.Problem"


@contextlib.contextmanager
def watched(claim: Claim, what: str, *, passes: Passes = ()) -> Iterator[None]:
    """A block in which a plugin is at work. what: its method. passes: what it may raise besides Rejected.

    Raises Broken for anything else; it is passing: the world may be better a moment later.
    """
    try:
        with aside.here():
            yield
    except BaseException as cause:  # SystemExit too, and what ends a task
        if isinstance(cause, (Rejected, Unanswered, KeyboardInterrupt, *passes)):
            raise
        raise broken(claim, what, cause) from cause


def broken(claim: Claim, what: str, cause: BaseException) -> Broken:
    """What is raised in place of something that a plugin should not raise."""
    return Broken(failed(claim, cause, what), passing=True)


def hear(claim: Claim, what: str, rule: Callable[[], Any], found: list[Problem], *, passes: Passes = ()) -> None:
    """Put into `found` the problems that a rule tells. The failure of one that fails is one more of them: what it said
    until then, and what others say, is told all the same.
    """
    try:
        with aside.here():
            for problem in _iterable(rule()):
                found.append(suitable(problem, Problem, "a robotrain.problem.Problem"))
    except BaseException as cause:
        if isinstance(cause, (Rejected, KeyboardInterrupt, *passes)):
            raise
        found.append(failed(claim, cause, what).problem())


def suitable(answer: Any, kind: Any, due: str) -> Any:
    """An answer that is of the kind that is due. Raises TypeError that says what it is instead."""
    if isinstance(answer, kind):
        return answer
    raise TypeError(f"the answer is {'None' if answer is None else f'a {type(answer).__name__}'}, and {due} is due")


def _iterable(answer: Any) -> Iterable[Any]:
    """Raises TypeError, also for a text and a mapping: letters and keys are no problems."""
    holds_none = isinstance(answer, (str, bytes, Mapping))
    return cast(Iterable[Any], suitable(answer, Problem if holds_none else Iterable, PROBLEMS))
