"""A platform as core calls it: an answer of the wrong kind, or an exception that is nobody's word, is its failure.

What a network or a disk does (OSError) is not the plugin's fault where it asks them: core tells that itself.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from robotrain import aside
from robotrain.loading import answers, unsaid
from robotrain.loading.failure import Broken, failed
from robotrain.loading.guard import broken, hear, watched
from robotrain.problem import Problem, Rejected, Unanswered

if TYPE_CHECKING:
    from robotrain.claims import Claim

Method = Callable[..., Any]
WORLD = (OSError,)


class GuardedPlatform:
    """Passes everything on to the platform that `claim` brings; its methods are called as this module says."""

    def __init__(self, platform: Any, claim: Claim) -> None:
        self._platform, self._claim = platform, claim
        if not claim.own:  # a property of a stranger may say something else, or fail, when it is read again
            self.__dict__.update({name: _declared(platform, name) for name in unsaid.DECLARED})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in CALLS:
            return _declared(self.__dict__["_platform"], name)
        if name in FURTHER and not callable(further := getattr(self._platform, name)):
            return further  # None, as a rule: it has none after all
        method = functools.partial(_of, self._platform, name)
        return functools.partial(CALLS[name], self._claim, name, method)

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has(platform: Any, method: str) -> bool:
    """Whether a guarded platform really has a method."""
    try:
        return callable(getattr(platform._platform, method))
    except Exception:  # a property, say, that fails
        return False


def _declared(platform: Any, name: str) -> Any:
    try:
        return getattr(platform, name)
    except AttributeError:
        if name not in unsaid.DECLARED:
            raise
        return unsaid.DECLARED[name]


def _of(platform: Any, name: str, *given: Any, **named: Any) -> Any:
    """Call a method; one that the platform lacks is missed here, where that is told."""
    return getattr(platform, name)(*given, **named)


def _pure(claim: Claim, name: str, method: Method, *given: Any, answer: Method) -> Any:
    with watched(claim, name):
        return answer(method(*given))


def _asking(claim: Claim, name: str, method: Method, *given: Any, answer: Method, **named: Any) -> Any:
    with watched(claim, name, passes=WORLD):
        return answer(method(*given, **named))


def _submit(claim: Claim, name: str, method: Method, plan: Any) -> Any:
    """Whatever it did wrong, the engine may have the plan. Raises Unanswered."""
    try:
        return _asking(claim, name, method, plan, answer=answers.reference)
    except Broken as failure:
        raise Unanswered(failure.problems) from failure


def _check(claim: Claim, name: str, method: Method, *given: Any) -> list[Problem]:
    found: list[Problem] = []
    hear(claim, name, functools.partial(method, *given), found)
    return found


def _preflight(claim: Claim, name: str, method: Method, plan: Any) -> list[Problem]:
    """In time; what it said until then counts."""
    from robotrain import limited

    found: list[Problem] = []
    rule = functools.partial(method, plan)
    look = functools.partial(hear, claim, name, rule, found, passes=WORLD)
    try:
        limited.alone(look, f"{name} of {claim} ({claim.distribution})", limited.ASKED_FOR)
    except limited.Overdue as overdue:
        return [*found, failed(claim, overdue, name).problem()]
    return found


def _lines(claim: Claim, name: str, method: Method, *given: Any, **named: Any) -> Iterator[str]:
    with watched(claim, name, passes=WORLD):
        lines = iter(method(*given, **named))
    return _each(claim, name, lines)


def _each(claim: Claim, name: str, lines: Iterator[Any]) -> Iterator[str]:
    """Each line by itself: between them results are printed. What robotrain comes with prints nothing of its own."""
    following = lines.__next__ if claim.own else functools.partial(_aside, lines)
    try:
        while True:
            try:
                line = answers.line(following())
            except (StopIteration, Rejected, *WORLD):
                raise
            except KeyboardInterrupt:
                raise
            except BaseException as cause:
                raise broken(claim, name, cause) from cause
            yield line
    except StopIteration:
        return
    finally:
        if close := getattr(lines, "close", None):
            close()


def _aside(lines: Iterator[Any]) -> Any:
    with aside.here():
        return next(lines)


def _asked(claim: Claim, name: str, method: Method, *given: Any) -> Any:
    """What it raises is told as a warning, by whoever asks."""
    with aside.here():
        try:
            return method(*given)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as ended:
            raise RuntimeError(f"it ended with {type(ended).__name__}: {ended}") from ended


def _answering(call: Method, **kinds: Method) -> dict[str, Method]:
    return {name: functools.partial(call, answer=kind) for name, kind in kinds.items()}


FURTHER: Mapping[str, Method] = {
    **_answering(_pure, defaults=answers.defaults, derived=answers.defaults),
    **_answering(_pure, halves=answers.texts, shown=answers.texts, sent=answers.content),
    **_answering(_asking, forget=answers.number, holds=answers.sources),
    "prepare": _lines,
    "asked": _asked,
}
CALLS: Mapping[str, Method] = {
    **FURTHER,
    **_answering(_pure, render=answers.plan),
    **_answering(_asking, find=answers.reference_or_none, status=answers.status, outputs=answers.outputs),
    **_answering(_asking, cancel=answers.anything, bring=answers.anything, register=answers.registered),
    "check": _check,
    "preflight": _preflight,
    "submit": _submit,
    "logs": _lines,
}
