"""Plugins as core calls them: what they raise is a failure that names them, what they print goes to stderr.

An OSError of a method that uses the network or the disk is not the plugin's failure: the caller reports it. Only
`preflight` and pinning have a time limit: a client of an engine has its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, SourceError
from robotrain.plugins import calls
from robotrain.plugins.failures import PluginFailure, make_failure

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind
    from robotrain.plugins.claims import Claim

Function = Callable[..., Any]
PURE_METHODS = (
    *("render", "defaults", "derive_defaults"),
    *("container_plugins", "describe_reference", "read_submitted_spec"),
)
"""Methods whose OSError is a failure too, beside `check`."""
PINNING_METHOD = "pin_source"
"""The method whose SourceError tells of the source."""
STREAMS = ("logs", "prepare")
"""Methods that yield line by line."""
TIMED = ("preflight", "pinning")
"""What has a time limit."""


def accept(family: str, claim: Claim, thing: Any) -> Any:
    """Return what a plugin provides, its functions guarded. Raise TypeError, ValueError or UnsuitablePlugin."""
    if not claim.built_in:  # the tests validate those: at every start, it would take 3 % of the time
        from robotrain.plugins.declarations import validate_declaration

        validate_declaration(family, thing)
    if family == "workload":
        return dataclasses.replace(thing, check=functools.partial(collect_problems, claim, "check", thing.check))
    if family == "platform":
        return GuardedPlatform(thing, claim)
    return _guard_source_kind(thing, claim) if family == "source" else thing


class GuardedPlatform:
    """Passes everything on to the platform that `claim` provides, and calls its methods under guard."""

    def __init__(self, platform: Platform, claim: Claim) -> None:
        self._platform, self._claim = platform, claim

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_platform"], name)
        if not isinstance(getattr(Platform, name, None), types.FunctionType):
            return found
        return functools.partial(
            collect_problems if name in ("check", "preflight") else _call, self._claim, name, found
        )

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has_method(platform: Any, method: str) -> bool:
    """Whether the class of a guarded platform implements a method of `Platform`."""
    return getattr(type(platform._platform), method) is not getattr(Platform, method)


@contextlib.contextmanager
def _name_failure(claim: Claim, name: str) -> Iterator[None]:
    """For what a method should not raise in this block, raise a transient Rejected that names the plugin.

    For `submit` raise Unanswered: the engine may have the plan.
    """
    passing = () if name in PURE_METHODS else (OSError, SourceError) if name == PINNING_METHOD else (OSError,)
    try:
        with calls.redirect_output():
            yield
    except (KeyboardInterrupt, Rejected, Unanswered, *passing):
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        problems = [make_failure(claim, cause, name).make_problem()]
        raise (Unanswered(problems) if name == "submit" else Rejected(problems, transient=True)) from cause


def _call(claim: Claim, name: str, method: Function, *given: Any, **named: Any) -> Any:
    with _name_failure(claim, name):
        answer = method(*given, **named)
        if name not in STREAMS:
            return list(answer) if isinstance(answer, Iterator) else answer
        lines = iter(answer)
    return _iterate(claim, name, lines)


def _iterate(claim: Claim, name: str, lines: Iterator[Any]) -> Iterator[Any]:
    """Yield the lines of an answer, each under guard: between them the caller prints results."""
    end: Any = object()
    try:
        while True:
            with _name_failure(claim, name):
                line = next(lines, end)
            if line is end:
                return
            yield line
    finally:
        if close := getattr(lines, "close", None):
            close()


def collect_problems(claim: Claim, name: str, rule: Function, *given: Any) -> list[Problem]:
    """Return the problems of a `check` or `preflight`; its failure is one more, and earlier ones count."""
    found: list[Problem] = []
    passing = (OSError,) if name == "preflight" else ()
    try:
        _run(claim, name, lambda: found.extend(rule(*given)))
    except (KeyboardInterrupt, Rejected, *passing):
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        found = [*found, make_failure(claim, cause, name).make_problem()]
    return found


def _run(claim: Claim, name: str, function: Callable[[], Any]) -> Any:
    """Return what a function returns, in time if it looks at the world."""
    if name.startswith(TIMED):
        return calls.call_with_timeout(function, f"{name} of {claim.source}", calls.PLUGIN_SECONDS_VARIABLE)
    with calls.redirect_output():
        return function()


def _guard_source_kind(kind: SourceKind, claim: Claim) -> SourceKind:
    """Return the kind with guarded functions: a failing recognizer recognizes nothing, a failing parser rejects."""

    def guard(name: str, function: Function, fall_back: Callable[[PluginFailure], Any] = _raise_source_error) -> Any:
        def call(*given: Any) -> Any:
            try:
                return _run(claim, name, functools.partial(function, *given))
            except (KeyboardInterrupt, SourceError):
                raise
            except BaseException as cause:  # SystemExit too, and what ends a task
                return fall_back(make_failure(claim, cause, name))

        return call

    pinning = kind.pinning
    if pinning:
        pinning = Pinning(*(guard(f"pinning ({name})", one) for name, one in pinning._asdict().items()))
    return dataclasses.replace(
        kind,
        recognizes=guard("recognizes", kind.recognizes, lambda failure: False),
        parse=guard("parse", kind.parse),
        warn=guard("warn", kind.warn, lambda failure: [str(failure)]),
        describe_meaning=guard("describe_meaning", kind.describe_meaning, lambda failure: ""),
        pinning=pinning,
    )


def _raise_source_error(failure: PluginFailure) -> Any:
    raise SourceError(f"{failure}.", failure.suggestions[-1].text) from failure.cause
