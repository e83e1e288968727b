"""The guard around a plugin's hooks, and around calls of a platform, a source kind or a workload.

An exception, or an answer of another type, is a failure that names the plugin and the method, and other plugins go on;
what the call prints goes to stderr. A Rejected of a platform or a workload, an OSError of a platform's method that uses
the network or the disk, and a SourceError of a source kind are not the plugin's failure: the caller reports them. Only
`preflight` and pinning have a time limit: a client of an engine has its own.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, SourceError
from robotrain.plugins import calls
from robotrain.plugins.discovery import HOOKS
from robotrain.plugins.failures import PluginFailure, UnsuitablePlugin, make_failure

if TYPE_CHECKING:
    from robotrain.plugins.discovery import Claim

DECLARED = {"platform": "Platform", "source": "SourceKind", "workload": "Workload", "health": "HealthCheck"}
"""By family, the class of what its hook provides."""
PURE_METHODS = (
    *("check", "render", "defaults", "derive_defaults"),
    *("container_plugins", "describe_reference", "read_submitted_spec", "logs_metric"),
)
"""Methods whose OSError is a failure too."""
CHECKS = ("check", "preflight")
"""Methods that return problems: their own failure is one more."""
STREAMS = ("logs", "prepare")
"""Methods that yield line by line."""
WORKLOAD_ANSWERS = {"check": "Iterable[Problem]", "logs_metric": "bool"}
"""The types of the answers of a workload's guarded functions."""
SOURCE_ANSWERS = {
    "recognizes": "bool",
    "parse": "Source",
    "warn": "Iterable[str]",
    "describe_meaning": "str",
    "find_related": "Iterable[tuple[str, str]]",
}
PINNING_ANSWERS = {
    "resolve": "str",
    "explain_lost_pin": "str",
    "find_missing": "Iterable[str]",
    "read_files": "Mapping[str, bytes]",
}


def call_providing_hook(
    family: str, claim: Claim, hook: Callable[[], Iterable[Any]], is_validated: bool = False
) -> list[Any]:
    """Call a plugin's hook and return the declarations that it provides, under guard.

    :param is_validated: whether the type of every declared field is checked.
    """

    def provide() -> list[Any]:
        found = require_type(hook(), f"Iterable[{DECLARED[family]}]")
        if is_validated and not claim.built_in:
            from robotrain.plugins.declarations import validate_declaration

            for declaration in found:
                validate_declaration(family, declaration)
        return [_guard(family, claim, declaration) for declaration in found]

    return calls.call_plugin(claim, HOOKS[family], provide, "" if claim.built_in else calls.HOOK_SECONDS_VARIABLE)


def _guard(family: str, claim: Claim, declaration: Any) -> Any:
    """Return what calls the functions of a declaration under guard."""

    def guard(owner: Any, answers: Mapping[str, str], form: str = "{}") -> dict[str, Any]:
        return {
            name: functools.partial(call, claim, form.format(name), getattr(owner, name), expected)
            for name, expected in answers.items()
        }

    if family == "platform":
        return GuardedPlatform(declaration, claim)
    if family == "workload":
        return dataclasses.replace(declaration, **guard(declaration, WORKLOAD_ANSWERS))
    if family == "source":
        pinning = declaration.pinning and Pinning(**guard(declaration.pinning, PINNING_ANSWERS, "pinning ({})"))
        return dataclasses.replace(declaration, pinning=pinning, **guard(declaration, SOURCE_ANSWERS))
    return declaration  # a health check, which `doctor` calls


class GuardedPlatform:
    """Passes everything on to a platform, and calls its methods under guard."""

    def __init__(self, platform: Platform, claim: Claim) -> None:
        self._platform, self._claim = platform, claim

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_platform"], name)
        method = getattr(Platform, name, None)
        if not isinstance(method, types.FunctionType):
            return found
        return functools.partial(call, self._claim, name, found, method.__annotations__["return"])

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has_method(platform: Any, method: str) -> bool:
    """Return whether the class of a guarded platform implements a method of `Platform`."""
    return getattr(type(platform._platform), method) is not getattr(Platform, method)


def call(claim: Claim, name: str, function: Callable[..., Any], expected: str, *given: Any, **named: Any) -> Any:
    """Return the answer of a plugin's function, or what stands for it where the function fails.

    :param expected: the type of the answer, as in an annotation.
    """
    found: list[Problem] = []

    def answer() -> Any:
        result = function(*given, **named)
        if name not in CHECKS:
            return iter(result) if name in STREAMS else require_type(result, expected)
        for problem in result:  # those before a failure count
            found.append(require_type(problem, "Problem"))
        return found

    result = _call(claim, name, answer, found)
    return _iterate(claim, name, result) if name in STREAMS else result


def _call(claim: Claim, name: str, function: Callable[[], Any], found: Sequence[Problem] = ()) -> Any:
    is_pinning = name.startswith("pinning")
    is_limited = is_pinning or (name == "preflight" and not claim.built_in)  # a built-in one has its own limits
    passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, SourceError)
    if not is_pinning and name not in SOURCE_ANSWERS:
        extra = () if name in PURE_METHODS else (OSError, SourceError) if name == "pin_source" else (OSError,)
        passing = (KeyboardInterrupt, Rejected, Unanswered, *extra)
    try:
        return calls.call_plugin(claim, name, function, calls.PLUGIN_SECONDS_VARIABLE if is_limited else "")
    except passing:
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        return _replace_answer(make_failure(claim, cause, name), found)


def _replace_answer(failure: PluginFailure, found: Sequence[Problem]) -> Any:
    """Return what stands for the answer of a function that failed. Raise Rejected, Unanswered or SourceError."""
    match failure.hook:
        case "check" | "preflight":
            return [*found, failure.make_problem()]
        case "recognizes":
            return False
        case "warn":
            return [str(failure)]
        case "describe_meaning":
            return ""
        case "find_related":
            return ()
        case "submit":  # the engine may have the plan
            raise Unanswered([failure.make_problem()]) from failure.cause
        case name if name == "parse" or name.startswith("pinning"):
            raise SourceError(f"{failure}.", failure.suggestions[-1].text) from failure.cause
    raise Rejected([failure.make_problem()], transient=True) from failure.cause


def _iterate(claim: Claim, name: str, lines: Iterator[Any]) -> Iterator[Any]:
    """Yield the lines of an answer; only each step is under guard: between them the caller prints results."""
    end: Any = object()

    def read_line() -> Any:
        return end if (line := next(lines, end)) is end else require_type(line, "str")

    try:
        while (line := _call(claim, name, read_line)) is not end:
            yield line
    finally:
        if close := getattr(lines, "close", None):
            close()


def require_type(answer: Any, expected: str) -> Any:
    """Return an answer of this type, written as in annotations; where that is None, any. Raise UnsuitablePlugin.

    An iterator is returned as a list, because its items are looked at.
    """
    answer = list(answer) if isinstance(answer, Iterator) else answer
    if expected != "None" and not _has_type(answer, expected):
        raise UnsuitablePlugin(f"it returned {_describe_type(answer)}; expected {expected}")
    return answer


def _has_type(value: Any, expected: str) -> bool:
    """Return whether a value has a type by the names of its classes: importing what they name costs start-up."""
    outer, _, inner = expected.removesuffix("]").partition("[")
    if outer in ("Any", "bool"):  # every object is true or false
        return True
    if outer in ("Iterable", "Iterator", "Sequence", "list"):
        if isinstance(value, Iterator):  # in a tuple: what is read here would be missing later
            return True
        is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
        return is_list and all(_has_type(item, inner) for item in value)
    if outer == "tuple":
        parts = inner.split(", ")
        return isinstance(value, tuple) and len(value) == len(parts) and all(map(_has_type, value, parts))
    if outer == "Source":  # a protocol
        return isinstance(getattr(value, "kind", None), str)
    names = outer.split(" | ")
    if value is None or isinstance(value, Mapping):
        return bool({"None"} & {*names} if value is None else {"Mapping", "Reference"} & {*names})
    return any(cls.__name__ in names for cls in type(value).__mro__)


def _describe_type(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        inside = sorted({type(item).__name__ for item in value})
        return f"a {type(value).__name__} of {', '.join(inside)}" if inside else f"an empty {type(value).__name__}"
    return "None" if value is None else f"an object of the type {type(value).__name__}"
