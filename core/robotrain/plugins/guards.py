"""Guards around calls of plugins: an exception, or an answer of another type, becomes a failure that names the plugin;
output goes to stderr.

An OSError of a method that uses the network or the disk is not the plugin's failure: the caller reports it. Only
`preflight` and pinning have a time limit: a client of an engine has its own.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, SourceError
from robotrain.plugins import calls
from robotrain.plugins.discovery import HOOKS
from robotrain.plugins.failures import PluginFailure, UnsuitablePlugin, make_failure

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind
    from robotrain.plugins.discovery import Claim

Function = Callable[..., Any]
PURE_METHODS = (
    *("check", "render", "defaults", "derive_defaults"),
    *("container_plugins", "describe_reference", "read_submitted_spec", "logs_metric"),
)
"""Methods whose OSError is a failure too."""
STREAMS = ("logs", "prepare")
"""Methods that yield line by line."""
TIMED = ("preflight", "pinning")
"""What has a time limit; `preflight` of a built-in platform has limits of its own, and may wait for its service."""


def call_providing_hook(family: str, claim: Claim, hook: Callable[[], Iterable[Any]]) -> list[Any]:
    """Call a plugin's hook and return the declarations that it provides, validated and guarded."""
    setting = "" if claim.built_in else calls.HOOK_SECONDS_VARIABLE
    return calls.call_plugin(
        claim, HOOKS[family], lambda: [_validate_and_guard(family, claim, one) for one in hook()], setting
    )


def _validate_and_guard(family: str, claim: Claim, thing: Any) -> Any:
    if not claim.built_in:  # the tests validate those: at every start, it would take 3 % of the time
        from robotrain.plugins.declarations import validate_declaration

        validate_declaration(family, thing)
    if family == "workload":
        check = functools.partial(_collect_problems, claim, "check", thing.check)
        logs_metric = functools.partial(_call_function, claim, "logs_metric", thing.logs_metric)
        return dataclasses.replace(thing, check=check, logs_metric=logs_metric)
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
        call = _collect_problems if name in ("check", "preflight") else _call_method
        return functools.partial(call, self._claim, name, found)

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has_method(platform: Any, method: str) -> bool:
    """Whether the class of a guarded platform implements a method of `Platform`."""
    return getattr(type(platform._platform), method) is not getattr(Platform, method)


def _call(
    claim: Claim,
    name: str,
    function: Callable[[], Any],
    fall_back: Callable[[PluginFailure], Any],
    passing: tuple[type[BaseException], ...],
) -> Any:
    """Return what a function returns; where it raises what is not `passing`, what `fall_back` makes of the failure."""
    try:
        is_timed = name.startswith(TIMED) and not (name == "preflight" and claim.built_in)
        return calls.call_plugin(claim, name, function, calls.PLUGIN_SECONDS_VARIABLE if is_timed else "")
    except passing:
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        return fall_back(make_failure(claim, cause, name))


def _list_passing(name: str) -> tuple[type[BaseException], ...]:
    """Return what a method may raise; of `pin_source`, SourceError tells of the source."""
    extra = () if name in PURE_METHODS else (OSError, SourceError) if name == "pin_source" else (OSError,)
    return (KeyboardInterrupt, Rejected, Unanswered, *extra)


def _collect_problems(claim: Claim, name: str, rule: Function, *given: Any) -> list[Problem]:
    """Return the problems of a `check` or `preflight`; its failure is one more, and earlier ones count."""
    found: list[Problem] = []
    fall_back = lambda failure: found.append(failure.make_problem())  # noqa: E731
    collect = lambda: found.extend(_require_type(one, "Problem") for one in rule(*given))  # noqa: E731
    _call(claim, name, collect, fall_back, _list_passing(name))
    return [*found]


def _call_method(claim: Claim, name: str, method: Function, *given: Any, **named: Any) -> Any:
    """Return the answer of a method. Raise a transient Rejected that names the plugin, or Unanswered for `submit`."""
    call = functools.partial(_call, claim, name, fall_back=_raise_failure, passing=_list_passing(name))
    expected = getattr(Platform, name).__annotations__["return"]

    def answer() -> Any:
        found = method(*given, **named)
        if name in STREAMS:
            return _iterate(call, iter(found))
        return _require_type(found, expected)

    return call(function=answer)


def _call_function(claim: Claim, name: str, function: Function, *given: Any) -> Any:
    """Return the answer of a pure function of a workload. Raise a transient Rejected that names the plugin."""
    return _call(claim, name, lambda: function(*given), _raise_failure, _list_passing(name))


def _iterate(call: Function, lines: Iterator[Any]) -> Iterator[Any]:
    """Yield the lines of an answer, each under guard: between them the caller prints results."""
    end: Any = object()
    try:
        while (line := call(function=lambda: next(lines, end))) is not end:
            yield call(function=lambda line=line: _require_type(line, "str"))
    finally:
        if close := getattr(lines, "close", None):
            close()


def _require_type(answer: Any, expected: str) -> Any:
    """Return an answer of this type, written as in annotations; where that is None, any. Raise UnsuitablePlugin.

    An iterator is returned as a list, because its items are looked at.
    """
    answer = list(answer) if isinstance(answer, Iterator) else answer
    if expected != "None" and not _has_type(answer, ast.parse(expected, mode="eval").body):
        raise UnsuitablePlugin(f"it returned {_describe_type(answer)}; expected {expected}")
    return answer


def _has_type(value: Any, expected: ast.expr) -> bool:
    """Return whether a value has a type by the names of its classes: importing what they name costs start-up."""
    match expected:
        case ast.BinOp(left=left, right=right):
            return _has_type(value, left) or _has_type(value, right)
        case ast.Constant(value=None):
            return value is None
        case ast.Subscript(value=ast.Name(id="Mapping")) | ast.Name(id="Reference"):
            return isinstance(value, Mapping)
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=types_of_elements)):
            is_pair = isinstance(value, tuple) and len(value) == len(types_of_elements)
            return is_pair and all(map(_has_type, value, types_of_elements))
        case ast.Subscript(slice=element):
            if isinstance(value, Iterator):  # in a tuple: what is looked at here would be missing later
                return True
            is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
            return is_list and all(_has_type(one, element) for one in value)
        case ast.Name(id="Any" | "bool"):  # every object is true or false
            return True
        case ast.Name(id="Source"):  # a protocol
            return isinstance(getattr(value, "kind", None), str)
        case ast.Name(id=name):
            return any(cls.__name__ == name for cls in type(value).__mro__)
    raise AssertionError(ast.dump(expected))


def _describe_type(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        inside = sorted({type(one).__name__ for one in value})
        return f"a {type(value).__name__} of {', '.join(inside)}" if inside else f"an empty {type(value).__name__}"
    return "None" if value is None else f"an object of the type {type(value).__name__}"


def _raise_failure(failure: PluginFailure) -> NoReturn:
    problems = [failure.make_problem()]
    unsure = failure.hook == "submit"  # the engine may have the plan
    raise (Unanswered(problems) if unsure else Rejected(problems, transient=True)) from failure.cause


def _raise_source_error(failure: PluginFailure) -> NoReturn:
    raise SourceError(f"{failure}.", failure.suggestions[-1].text) from failure.cause


SOURCE_PASSING = (KeyboardInterrupt, SourceError)
SOURCE_FALL_BACKS: Mapping[str, Callable[[PluginFailure], Any]] = {
    "recognizes": lambda failure: False,
    "parse": _raise_source_error,
    "warn": lambda failure: [str(failure)],
    "describe_meaning": lambda failure: "",
    "find_related": lambda failure: (),
}
"""By function of a source kind, what a failure means; a failing pinning rejects."""


SOURCE_ANSWERS = {
    "recognizes": "bool",
    "parse": "Source",
    "warn": "Iterable[str]",
    "describe_meaning": "str",
    "find_related": "Iterable[tuple[str, str]]",
    "pinning (resolve)": "str",
    "pinning (explain_lost_pin)": "str",
    "pinning (find_missing)": "Iterable[str]",
    "pinning (read_files)": "Mapping[str, bytes]",
}
"""By function of a source kind, the type of its answer."""


def _guard_source_kind(kind: SourceKind, claim: Claim) -> SourceKind:
    """Return the kind with guarded functions."""

    def guard(name: str, function: Function, fall_back: Callable[[PluginFailure], Any]) -> Function:
        answer = lambda *given: _require_type(function(*given), SOURCE_ANSWERS[name])  # noqa: E731
        return lambda *given: _call(claim, name, functools.partial(answer, *given), fall_back, SOURCE_PASSING)

    guarded: dict[str, Any] = {name: guard(name, getattr(kind, name), one) for name, one in SOURCE_FALL_BACKS.items()}
    if kind.pinning:
        functions = kind.pinning._asdict().items()
        guarded["pinning"] = Pinning(*(guard(f"pinning ({name})", one, _raise_source_error) for name, one in functions))
    return dataclasses.replace(kind, **guarded)
