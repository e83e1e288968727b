"""The guard around a plugin's hooks, and around calls of a platform, a source kind or a workload.

An exception, or an answer of another type, is a failure that names the plugin and the method, and other plugins go on;
what the call prints goes to stderr.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, SourceError
from robotrain.plugins import calls
from robotrain.plugins.discovery import HOOKS, Claim
from robotrain.plugins.failures import PluginFailure, UnsuitablePlugin, make_failure

DECLARED = {"platform": "Platform", "source": "SourceKind", "workload": "Workload", "health": "HealthCheck"}
"""By family, the class of what its hook provides."""


def _reject(failure: PluginFailure) -> Any:
    raise Rejected([failure.make_problem()], transient=True) from failure.cause


def _leave_unanswered(failure: PluginFailure) -> Any:
    raise Unanswered([failure.make_problem()]) from failure.cause


def _raise_source_error(failure: PluginFailure) -> Any:
    raise SourceError(f"{failure}.", failure.suggestions[-1].text) from failure.cause


PURE = (KeyboardInterrupt, Rejected, Unanswered)
ONLINE = (*PURE, OSError)
OF_SOURCES = (KeyboardInterrupt, SourceError)


class Guard(NamedTuple):
    """How a function of a plugin is called."""

    answer: str = ""
    """The type of its answer, as in an annotation; a platform's method is annotated itself."""
    passes: tuple[type[BaseException], ...] = ONLINE
    """Exceptions that its caller reports; all others are failures of the plugin."""
    replace: Callable[[PluginFailure], Any] = _reject
    """Return what stands for the answer of a function that failed, or raise."""
    limit: str = ""
    """The variable of its time limit, if it has one."""


PLATFORM_GUARDS = {
    **dict.fromkeys(("render", "defaults", "derive_defaults"), Guard(passes=PURE)),
    **dict.fromkeys(("container_plugins", "describe_reference", "read_submitted_spec"), Guard(passes=PURE)),
    "check": Guard(passes=PURE),
    "preflight": Guard(limit=calls.PLUGIN_SECONDS_VARIABLE),
    "pin_source": Guard(passes=(*ONLINE, SourceError)),
    "submit": Guard(replace=_leave_unanswered),  # the engine may have the plan
}
"""How a platform's methods are called, if not as `Guard()` says."""
WORKLOAD_GUARDS = {
    "check": Guard("Iterable[Problem]", PURE),
    **dict.fromkeys(("logs_metric", "implies_sources"), Guard("bool", PURE)),
    "data_packages": Guard("Mapping[str, str]", PURE),
}
SOURCE_GUARDS = {
    "recognizes": Guard("bool", OF_SOURCES, lambda failure: False),
    "parse": Guard("Source", OF_SOURCES, _raise_source_error),
    "warn": Guard("Iterable[str]", OF_SOURCES, lambda failure: [str(failure)]),
    "describe_meaning": Guard("str", OF_SOURCES, lambda failure: ""),
    "find_related": Guard("Iterable[tuple[str, str]]", OF_SOURCES, lambda failure: ()),
    "find_job": Guard("Job | None", OF_SOURCES, lambda failure: None),
}
PIN_GUARD = Guard("str", OF_SOURCES, _raise_source_error, calls.PLUGIN_SECONDS_VARIABLE)
PINNING_GUARDS = {
    "resolve": PIN_GUARD,
    "explain_lost_pin": PIN_GUARD,
    "find_missing": PIN_GUARD._replace(answer="Iterable[str]"),
    "read_files": PIN_GUARD._replace(answer="Mapping[str, bytes]"),
    "read_tags": PIN_GUARD._replace(answer="Iterable[str]"),
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

    def guard_all(owner: Any, guards: Mapping[str, Guard], form: str = "{}") -> dict[str, Any]:
        return {
            name: functools.partial(call, claim, form.format(name), guard, getattr(owner, name))
            for name, guard in guards.items()
        }

    if family == "platform":
        return GuardedPlatform(declaration, claim)
    if family == "workload":
        return dataclasses.replace(declaration, **guard_all(declaration, WORKLOAD_GUARDS))
    if family == "source":
        pinning = declaration.pinning and Pinning(**guard_all(declaration.pinning, PINNING_GUARDS, "pinning ({})"))
        return dataclasses.replace(declaration, pinning=pinning, **guard_all(declaration, SOURCE_GUARDS))
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
        guard = PLATFORM_GUARDS.get(name, Guard())._replace(answer=method.__annotations__["return"])
        if name == "preflight" and self._claim.built_in:
            guard = guard._replace(limit="")  # its clients have limits of their own
        return functools.partial(call, self._claim, name, guard, found)

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has_method(platform: Any, method: str) -> bool:
    """Return whether the class of a guarded platform implements a method of `Platform`."""
    return getattr(type(platform._platform), method) is not getattr(Platform, method)


def call(claim: Claim, name: str, guard: Guard, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Return the answer of a plugin's function, or what stands for it where the function fails."""
    found: list[Problem] = []

    def answer() -> Any:
        result = function(*given, **named)
        if guard.answer == "Iterator[str]":
            return iter(result)
        if guard.answer != "Iterable[Problem]":
            return require_type(result, guard.answer)
        for problem in result:  # those before a failure count
            found.append(require_type(problem, "Problem"))
        return found

    if guard.answer == "Iterable[Problem]":  # a failure is one more
        guard = guard._replace(replace=lambda failure: [*found, failure.make_problem()])
    result = _call(claim, name, guard, answer)
    return _iterate(claim, name, guard, result) if guard.answer == "Iterator[str]" else result


def _call(claim: Claim, name: str, guard: Guard, function: Callable[[], Any]) -> Any:
    try:
        return calls.call_plugin(claim, name, function, guard.limit)
    except guard.passes:
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        return guard.replace(make_failure(claim, cause, name))


def _iterate(claim: Claim, name: str, guard: Guard, lines: Iterator[Any]) -> Iterator[Any]:
    """Yield the lines of an answer; only each step is under guard: between them the caller prints results."""
    end: Any = object()

    def read_line() -> Any:
        return end if (line := next(lines, end)) is end else require_type(line, "str")

    try:
        while (line := _call(claim, name, guard, read_line)) is not end:
            yield line
    finally:
        if close := getattr(lines, "close", None):
            close()


def require_type(answer: Any, expected: str, whole: str = "") -> Any:
    """Return an answer of this type, written as in annotations. Raise UnsuitablePlugin.

    Types are compared by name: importing what they name costs start-up.

    :param whole: the type of the answer that this one is an item of.
    :return: the answer; several items in a list.
    """
    outer, _, inner = expected.removesuffix("]").partition("[")
    names = outer.split(" | ")
    if outer in ("Iterable", "Sequence", "list"):
        if isinstance(answer, Iterable) and not isinstance(answer, (str, bytes, Mapping)):
            return [require_type(item, inner, whole or expected) for item in answer]
    elif outer == "tuple":
        kinds = inner.split(", ")
        if isinstance(answer, tuple) and len(answer) == len(kinds):
            return tuple(require_type(item, kind, whole or expected) for item, kind in zip(answer, kinds, strict=True))
    elif outer in ("Any", "None", "bool"):  # of any type, not used, or as every object is true or false
        return answer
    elif outer == "Source":  # a protocol
        if isinstance(getattr(answer, "kind", None), str):
            return answer
    elif answer is None or isinstance(answer, Mapping):
        if {"None"} & {*names} if answer is None else {"Mapping", "Reference"} & {*names}:
            return answer
    elif any(cls.__name__ in names for cls in type(answer).__mro__):
        return answer
    found = f"{'an item' if whole else 'an object'} of the type {type(answer).__name__}"
    raise UnsuitablePlugin(f"it returned {found}; expected {whole or expected}")
