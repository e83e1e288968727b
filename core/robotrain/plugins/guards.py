"""Plugins as core calls them: what they raise is a failure that names them, what they print goes to stderr.

An OSError of a method that uses the network or the disk is not the plugin's failure: the caller reports it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.platform import Platform
from robotrain.model.source import SourceError
from robotrain.plugins import calls
from robotrain.plugins.failures import PluginCallError, PluginFailure, make_failure

if TYPE_CHECKING:
    from robotrain.model.source import Pinning, SourceKind
    from robotrain.model.workload import Workload
    from robotrain.plugins.claims import Claim

Function = Callable[..., Any]
WORLD_ERRORS = (OSError,)


AllowedErrors = tuple[type[Exception], ...]
EXPECTED_PROBLEMS = "an iterable of robotrain.plugin.Problem"


@contextlib.contextmanager
def guard_call(claim: Claim, method: str, *, allowed: AllowedErrors = (), programs: bool = True) -> Iterator[None]:
    """Run a plugin's code in this block; replace what it should not raise by a transient PluginCallError.

    :param allowed: what it may raise besides Rejected and Unanswered.
    :param programs: see `redirect_output`.
    """
    try:
        with calls.redirect_output(programs):
            yield
    except BaseException as cause:  # SystemExit too, and what ends a task
        if isinstance(cause, (Rejected, Unanswered, KeyboardInterrupt, *allowed)):
            raise
        raise PluginCallError(make_failure(claim, cause, method), transient=True) from cause


def collect_problems(
    claim: Claim, what: str, rule: Callable[[], Any], found: list[Problem], *, allowed: AllowedErrors = ()
) -> None:
    """Add the problems of a rule to `found`, and its failure, if any, as one more."""
    try:
        with calls.redirect_output():
            for problem in _require_iterable(rule()):
                found.append(require_type(problem, Problem, "a robotrain.plugin.Problem"))
    except BaseException as cause:
        if isinstance(cause, (Rejected, KeyboardInterrupt, *allowed)):
            raise
        found.append(make_failure(claim, cause, what).make_problem())


def require_type(answer: Any, kind: Any, expected: str) -> Any:
    """Return an answer of the expected type. Raise TypeError for any other."""
    if isinstance(answer, kind):
        return answer
    raise TypeError(f"the answer is {'None' if answer is None else f'a {type(answer).__name__}'}; expected {expected}")


def _require_iterable(answer: Any) -> Iterable[Any]:
    """Return an iterable answer. Raise TypeError, also for a string or a mapping."""
    holds_none = isinstance(answer, (str, bytes, Mapping))
    return cast(Iterable[Any], require_type(answer, Problem if holds_none else Iterable, EXPECTED_PROBLEMS))


class GuardedPlatform:
    """Passes everything on to the platform that `claim` provides; `GUARDS` wraps its methods."""

    def __init__(self, platform: Platform, claim: Claim) -> None:
        self._platform, self._claim = platform, claim

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_platform"], name)
        return functools.partial(GUARDS[name], self._claim, name, found) if name in GUARDS else found

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has_method(platform: Any, method: str) -> bool:
    """Whether the class of a guarded platform implements a method of `Platform`."""
    return getattr(type(platform._platform), method) is not getattr(Platform, method)


ANSWERS = {
    "render": ("robotrain.model.plan", "Plan"),
    "status": ("robotrain.model.run", "Status"),
    "outputs": ("robotrain.model.run", "Output"),
    "register": ("robotrain_runtime.contract.event", "Registered"),
}
"""Where the type of a method's answer is, or of its items; it is imported when the method is called."""


def _require_answer(method: str, answer: Any) -> Any:
    """Return the answer of a platform's method. Raise TypeError for one of another type."""
    if method == "submit" or (method == "find" and answer is not None):
        return require_type(answer, Mapping, "a mapping of texts, the reference,")
    if method not in ANSWERS:
        return answer
    module, name = ANSWERS[method]
    kind, expected = getattr(importlib.import_module(module), name), f"a robotrain.plugin.{name}"
    if method == "outputs":
        return [require_type(output, kind, expected) for output in answer]
    return require_type(answer, kind, expected)


def _call(allowed: AllowedErrors, claim: Claim, name: str, method: Function, *given: Any, **named: Any) -> Any:
    with guard_call(claim, name, allowed=allowed):
        return _require_answer(name, method(*given, **named))


def _call_submit(claim: Claim, name: str, method: Function, plan: Any) -> Any:
    """Call `submit`; raise Unanswered for a failure of the plugin, since the engine may have the plan."""
    try:
        return _call(WORLD_ERRORS, claim, name, method, plan)
    except PluginCallError as failure:
        raise Unanswered(failure.problems) from failure


def _call_check(claim: Claim, name: str, method: Function, *given: Any) -> list[Problem]:
    """Call `check` of a platform or a workload; its failure is one of the problems."""
    found: list[Problem] = []
    collect_problems(claim, name, functools.partial(method, *given), found)
    return found


def _call_preflight(claim: Claim, name: str, method: Function, plan: Any) -> list[Problem]:
    """Call `preflight` within the time limit; problems yielded until then count."""
    found: list[Problem] = []
    rule = functools.partial(method, plan)
    check = functools.partial(collect_problems, claim, name, rule, found, allowed=WORLD_ERRORS)
    try:
        calls.call_with_timeout(check, f"{name} of {claim} ({claim.distribution})", calls.PLUGIN_SECONDS_VARIABLE)
    except calls.PluginTimeout as overdue:
        return [*found, make_failure(claim, overdue, name).make_problem()]
    return found


def _call_lines(claim: Claim, name: str, method: Function, *given: Any, **named: Any) -> Iterator[str]:
    with guard_call(claim, name, allowed=WORLD_ERRORS):
        lines = iter(method(*given, **named))
    return _iterate_lines(claim, name, lines)


def _iterate_lines(claim: Claim, name: str, lines: Iterator[Any]) -> Iterator[str]:
    """Yield lines, and redirect output for each one alone: between them the caller prints results."""
    end: Any = object()
    try:
        while True:
            with guard_call(claim, name, allowed=WORLD_ERRORS, programs=False):
                line = next(lines, end)
                if line is end:
                    return
                require_type(line, str, "a text")
            yield line
    finally:
        if close := getattr(lines, "close", None):
            close()


CALL_PURE, CALL_ENGINE = functools.partial(_call, ()), functools.partial(_call, WORLD_ERRORS)
GUARDS: Mapping[str, Function] = {
    **dict.fromkeys(("defaults", "derive_defaults", "container_plugins", "describe_reference"), CALL_PURE),
    **dict.fromkeys(("read_submitted_spec", "render"), CALL_PURE),
    **dict.fromkeys(("remove_outputs", "find_uploaded", "find", "status", "events_file", "outputs"), CALL_ENGINE),
    **dict.fromkeys(("cancel", "download", "register", "query_settings"), CALL_ENGINE),
    "prepare": _call_lines,
    "logs": _call_lines,
    "check": _call_check,
    "preflight": _call_preflight,
    "submit": _call_submit,
}


def guard_source_kind(kind: SourceKind, claim: Claim) -> SourceKind:
    """Return the kind with guarded functions: a failing recognizer recognizes nothing, a failing parser rejects."""
    guard = functools.partial(functools.partial, _call_function, claim)
    return dataclasses.replace(
        kind,
        recognizes=guard("recognizes", kind.recognizes, lambda failure: False),
        parse=guard("parse", functools.partial(_parse_source, kind.parse), _raise_source_error),
        warn=guard("warn", kind.warn, lambda failure: [str(failure)]),
        describe_meaning=guard("describe_meaning", kind.describe_meaning, lambda failure: ""),
        pinning=kind.pinning and _guard_pinning(kind.pinning, claim),
    )


def guard_workload(workload: Workload, claim: Claim) -> Workload:
    """Return the workload with a guarded check: its failure becomes a problem."""
    return dataclasses.replace(workload, check=functools.partial(_call_check, claim, "check", workload.check))


def _call_function(
    claim: Claim, name: str, function: Function, fall_back: Callable[[PluginFailure], Any], *given: Any
) -> Any:
    with calls.redirect_output():
        try:
            return function(*given)
        except (SourceError, KeyboardInterrupt):
            raise
        except BaseException as cause:  # SystemExit too, and what ends a task
            return fall_back(make_failure(claim, cause, name))


def _parse_source(parse: Function, *given: Any) -> Any:
    source = parse(*given)
    return require_type(source.kind, str, "the name of its kind") and source


def _raise_source_error(failure: PluginFailure) -> Any:
    raise SourceError(f"{failure}.", failure.suggestions[-1].text) from failure.cause


def _guard_pinning(pinning: Pinning, claim: Claim) -> Pinning:
    """Return the pinning with a time limit for each function; failures become SourceError."""

    def guard(name: str, function: Function) -> Function:
        what = f"pinning ({name})"
        return functools.partial(
            _call_function, claim, what, functools.partial(_call_pinning, claim, what, function), _raise_source_error
        )

    resolve = functools.partial(_resolve_pin, pinning.resolve)
    return pinning._replace(
        resolve=guard("resolve", resolve),
        find_loss=guard("find_loss", pinning.find_loss),
        find_missing=guard("find_missing", pinning.find_missing),
    )


def _call_pinning(claim: Claim, what: str, function: Function, *given: Any) -> Any:
    call = functools.partial(function, *given)
    return calls.call_with_timeout(call, f"{what} of {claim} ({claim.distribution})", calls.PLUGIN_SECONDS_VARIABLE)


def _resolve_pin(resolve: Function, *given: Any) -> str:
    """Return the pin. Raise TypeError or ValueError for one that must not be stored."""
    from robotrain.redaction import holds_secret

    pin = str(require_type(resolve(*given), str, "a text"))
    if holds_secret(pin) or not pin.isprintable():
        raise ValueError("its pin contains what looks like a secret, or is not one line of text")
    return pin
