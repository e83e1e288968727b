"""Plugins as core calls them: what they raise is a failure that names them, what they print goes to stderr.

An OSError of a method that uses the network or the disk is not the plugin's failure: the caller reports it. Only
`preflight` and pinning have a time limit: a client of an engine has its own.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, SourceError
from robotrain.plugins import calls
from robotrain.plugins.failures import PluginCallError, PluginFailure, make_failure

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind
    from robotrain.plugins.claims import Claim

Function = Callable[..., Any]
PURE_METHODS = (
    *("render", "defaults", "derive_defaults"),
    *("container_plugins", "describe_reference", "read_submitted_spec"),
)
"""Methods whose OSError is a failure too, beside `check`."""
STREAMS = ("logs", "prepare")
"""Methods that yield line by line."""
TIMED = ("preflight", "pinning")
"""What has a time limit."""


def accept(family: str, thing: Any, claim: Claim) -> Any:
    """Return what a plugin provides, its functions guarded. Raise TypeError, ValueError or UnsuitablePlugin."""
    if family == "health":
        from robotrain.model.health import HealthCheck

        if not isinstance(thing, HealthCheck):
            raise TypeError("its hook provides something else than a robotrain.plugin.HealthCheck")
        return thing
    if not claim.built_in:  # the tests validate those: at every start, it would take 3 % of the time
        from robotrain.plugins.declarations import validate_declaration

        validate_declaration(family, thing)
    if family == "workload":
        return dataclasses.replace(thing, check=functools.partial(collect_problems, claim, "check", thing.check))
    return GuardedPlatform(thing, claim) if family == "platform" else _guard_source_kind(thing, claim)


class GuardedPlatform:
    """Passes everything on to the platform that `claim` provides, and calls its methods under guard."""

    def __init__(self, platform: Platform, claim: Claim) -> None:
        self._platform, self._claim = platform, claim

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_platform"], name)
        if not isinstance(getattr(Platform, name, None), types.FunctionType):
            return found
        call = collect_problems if name in ("check", "preflight") else _call_submit if name == "submit" else _call
        return functools.partial(call, self._claim, name, found)

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has_method(platform: Any, method: str) -> bool:
    """Whether the class of a guarded platform implements a method of `Platform`."""
    return getattr(type(platform._platform), method) is not getattr(Platform, method)


def _try(claim: Claim, name: str, call: Function, fall_back: Function, *passing: type[BaseException]) -> Any:
    """Return what a call returns; what it raises, but for `passing`, is a failure, for which `fall_back` answers."""
    try:
        return call()
    except BaseException as cause:  # SystemExit too, and what ends a task
        if isinstance(cause, (KeyboardInterrupt, *passing)):
            raise
        return fall_back(make_failure(claim, cause, name))


def _guard(claim: Claim, name: str, call: Function) -> Any:
    """Return what a call of a method returns; what it should not raise becomes a transient PluginCallError."""

    def fall_back(failure: PluginFailure) -> Any:
        raise PluginCallError(failure, transient=True) from failure.cause

    with calls.redirect_output():
        return _try(claim, name, call, fall_back, Rejected, Unanswered, *(() if name in PURE_METHODS else (OSError,)))


def _call(claim: Claim, name: str, method: Function, *given: Any, **named: Any) -> Any:
    def call() -> Any:
        answer = method(*given, **named)
        if name in STREAMS:
            return iter(answer)
        return list(answer) if isinstance(answer, Iterator) else answer

    answer = _guard(claim, name, call)
    return _iterate(claim, name, answer) if name in STREAMS else answer


def _iterate(claim: Claim, name: str, answer: Iterator[Any]) -> Iterator[Any]:
    """Yield the lines of an answer, each under guard: between them the caller prints results."""
    end: Any = object()
    try:
        while (item := _guard(claim, name, functools.partial(next, answer, end))) is not end:
            yield item
    finally:
        if close := getattr(answer, "close", None):
            close()


def _call_submit(claim: Claim, name: str, method: Function, plan: Any) -> Any:
    """Call `submit`; raise Unanswered for a failure of the plugin, since the engine may have the plan."""
    try:
        return _call(claim, name, method, plan)
    except PluginCallError as failure:
        raise Unanswered(failure.problems) from failure


def collect_problems(claim: Claim, name: str, rule: Function, *given: Any) -> list[Problem]:
    """Return the problems of a `check` or `preflight`; its failure is one more, and earlier ones count."""
    found: list[Problem] = []

    def collect() -> None:
        for problem in rule(*given):
            found.append(problem)

    passing = (Rejected, OSError) if name == "preflight" else (Rejected,)
    run = functools.partial(_run, claim, name, collect)
    failed = _try(claim, name, run, lambda failure: [failure.make_problem()], *passing)
    return [*found, *(failed or ())]


def _run(claim: Claim, name: str, function: Function, *given: Any) -> Any:
    """Return what a function returns, in time if it looks at the world."""
    if name.startswith(TIMED):
        work = functools.partial(function, *given)
        return calls.call_with_timeout(work, f"{name} of {claim.source}", calls.PLUGIN_SECONDS_VARIABLE)
    with calls.redirect_output():
        return function(*given)


def _guard_source_kind(kind: SourceKind, claim: Claim) -> SourceKind:
    """Return the kind with guarded functions: a failing recognizer recognizes nothing, a failing parser rejects."""

    def raise_source_error(failure: PluginFailure) -> Any:
        raise SourceError(f"{failure}.", failure.suggestions[-1].text) from failure.cause

    def guard(name: str, function: Function, fall_back: Function = raise_source_error) -> Any:
        return lambda *given: _try(
            claim, name, functools.partial(_run, claim, name, function, *given), fall_back, SourceError
        )

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
