"""Platforms as core calls them: answers are validated, exceptions become plugin failures.

An OSError of a method that uses the network or the disk is not the plugin's failure: the caller reports it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.platform import Platform
from robotrain.plugins import calls
from robotrain.plugins.errors import (
    PluginCallError,
    collect_problems,
    guard_call,
    make_call_error,
    make_failure,
    require_type,
)

if TYPE_CHECKING:
    from robotrain.plugins.claims import Claim


DECLARED_NAMES = ("name", "summary", "settings", "option_hints", "capabilities", "can_prepare", "prepare_ignores")


def require_plan(answer: Any) -> Any:
    """Return the answer of `render`. Raise TypeError or ValueError for a wrong one, as all validators here."""
    from robotrain.model.plan import Plan

    found = require_type(answer, Plan, "a robotrain.plugin.Plan")
    for path, content in found.files.items():
        if not isinstance(content, bytes):
            raise TypeError(f"the file {path} of its plan is a {type(content).__name__}, and bytes are due")
    if missing := [path for path in (found.spec, *found.shown) if path not in found.files]:
        raise ValueError(f"its plan names {missing[0]}, which is none of its files")
    return found


def require_reference(answer: Any) -> Any:
    """Return the answer of `submit`."""
    return _require_text_mapping(answer, "a mapping of texts, the reference,")


def require_reference_or_none(answer: Any) -> Any:
    """Return the answer of `find`."""
    return None if answer is None else require_reference(answer)


def require_status(answer: Any) -> Any:
    """Return the answer of `status`."""
    from robotrain.model.run import RunState, Status

    found = require_type(answer, Status, "a robotrain.plugin.Status")
    if found.state not in get_args(RunState):
        raise ValueError(f"its state is {found.state!r}, and one of {', '.join(get_args(RunState))} is due")
    return found


def require_outputs(answer: Any) -> Any:
    """Return the answer of `outputs`."""
    from robotrain.model.run import Output

    return [require_type(one, Output, "a robotrain.plugin.Output") for one in answer]


def require_sources(answer: Any) -> Any:
    """Return the answer of `find_uploaded`."""
    from robotrain_runtime.contract.document import JobSource

    return [require_type(one, JobSource, "a robotrain_runtime.contract.document.JobSource") for one in answer]


def require_registered(answer: Any) -> Any:
    """Return the answer of `register`."""
    from robotrain_runtime.contract.event import Registered

    return require_type(answer, Registered, "a robotrain_runtime.contract.event.Registered")


def require_texts(answer: Any) -> Any:
    """Return the answer of `container_plugins` or `describe_reference`."""
    return _require_text_mapping(answer, "a mapping of texts")


def require_defaults(answer: Any) -> Any:
    """Return the answer of `defaults` or `derive_defaults`."""
    from robotrain.model.platform import PlatformDefault

    found = require_type(answer, Mapping, "a mapping of names to robotrain.plugin.PlatformDefault")
    return {
        name: require_type(one, PlatformDefault, "a robotrain.plugin.PlatformDefault") for name, one in found.items()
    }


def require_byte_count(answer: Any) -> Any:
    """Return the answer of `remove_outputs`."""
    return None if answer is None else require_type(answer, int, "a number of bytes")


def require_bytes(answer: Any) -> Any:
    """Return the answer of `read_submitted_spec`."""
    return require_type(answer, bytes, "bytes")


def require_line(answer: Any) -> Any:
    """Return a line of `logs` or `prepare`."""
    return require_type(answer, str, "a text")


def accept_anything(answer: Any) -> Any:
    """Return the answer of `cancel` or `download`, which return nothing."""
    return answer


def _require_text_mapping(answer: Any, due: str) -> Any:
    found = require_type(answer, Mapping, due)
    for one in (*found, *found.values()):
        if not isinstance(one, str):
            raise TypeError(f"the answer holds a {type(one).__name__}, and {due} is due")
    return found


Method = Callable[..., Any]
WORLD_ERRORS = (OSError,)


class GuardedPlatform:
    """Passes everything on to the platform that `claim` provides; `CALLS` wraps its methods."""

    def __init__(self, platform: Platform, claim: Claim) -> None:
        self._platform, self._claim = platform, claim
        if not claim.built_in:  # a third party's property may change, or fail, when it is read again
            self.__dict__.update({name: getattr(platform, name) for name in DECLARED_NAMES})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in CALLS:
            return getattr(self.__dict__["_platform"], name)
        method = functools.partial(_call_method, self._platform, name)
        return functools.partial(CALLS[name], self._claim, name, method)

    def __repr__(self) -> str:
        return f"<{self._claim} of {self._claim.distribution}>"


def has_method(platform: Any, method: str) -> bool:
    """Whether the class of a guarded platform implements a method of `Platform`."""
    return getattr(type(platform._platform), method) is not getattr(Platform, method)


def _call_method(platform: Platform, name: str, *args: Any, **kwargs: Any) -> Any:
    """Look a method up and call it: within the guard, since a property may fail."""
    return getattr(platform, name)(*args, **kwargs)


def _call_pure(claim: Claim, name: str, method: Method, *given: Any, answer: Method) -> Any:
    with guard_call(claim, name):
        return answer(method(*given))


def _call_engine(claim: Claim, name: str, method: Method, *given: Any, answer: Method, **named: Any) -> Any:
    with guard_call(claim, name, allowed=WORLD_ERRORS):
        return answer(method(*given, **named))


def _call_submit(claim: Claim, name: str, method: Method, plan: Any) -> Any:
    """Call `submit`; raise Unanswered for a failure of the plugin, since the engine may have the plan."""
    try:
        return _call_engine(claim, name, method, plan, answer=require_reference)
    except PluginCallError as failure:
        raise Unanswered(failure.problems) from failure


def _call_check(claim: Claim, name: str, method: Method, *given: Any) -> list[Problem]:
    found: list[Problem] = []
    collect_problems(claim, name, functools.partial(method, *given), found)
    return found


def _call_preflight(claim: Claim, name: str, method: Method, plan: Any) -> list[Problem]:
    """Call `preflight` within the time limit; problems yielded until then count."""
    found: list[Problem] = []
    rule = functools.partial(method, plan)
    check = functools.partial(collect_problems, claim, name, rule, found, allowed=WORLD_ERRORS)
    try:
        calls.call_with_timeout(check, f"{name} of {claim} ({claim.distribution})", calls.PLUGIN_SECONDS_VARIABLE)
    except calls.PluginTimeout as overdue:
        return [*found, make_failure(claim, overdue, name).make_problem()]
    return found


def _call_lines(claim: Claim, name: str, method: Method, *given: Any, **named: Any) -> Iterator[str]:
    with guard_call(claim, name, allowed=WORLD_ERRORS):
        lines = iter(method(*given, **named))
    return _iterate_lines(claim, name, lines)


def _iterate_lines(claim: Claim, name: str, lines: Iterator[Any]) -> Iterator[str]:
    """Yield lines, and redirect output for each one alone: between them the caller prints results."""
    following = lines.__next__ if claim.built_in else functools.partial(_read_next, lines)
    try:
        while True:
            try:
                line = require_line(following())
            except (StopIteration, Rejected, *WORLD_ERRORS):
                raise
            except KeyboardInterrupt:
                raise
            except BaseException as cause:
                raise make_call_error(claim, name, cause) from cause
            yield line
    except StopIteration:
        return
    finally:
        if close := getattr(lines, "close", None):
            close()


def _read_next(lines: Iterator[Any]) -> Any:
    with calls.redirect_output():
        return next(lines)


def _call_query_settings(claim: Claim, name: str, method: Method, *given: Any) -> Any:
    """Call `query_settings`; the caller reports what it raises as a warning."""
    with calls.redirect_output():
        try:
            return method(*given)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as ended:
            raise RuntimeError(f"it ended with {type(ended).__name__}: {ended}") from ended


def _with_validators(call: Method, **kinds: Method) -> dict[str, Method]:
    return {name: functools.partial(call, answer=kind) for name, kind in kinds.items()}


CALLS: Mapping[str, Method] = {
    **_with_validators(_call_pure, defaults=require_defaults, derive_defaults=require_defaults),
    **_with_validators(
        _call_pure, container_plugins=require_texts, describe_reference=require_texts, read_submitted_spec=require_bytes
    ),
    **_with_validators(_call_engine, remove_outputs=require_byte_count, find_uploaded=require_sources),
    "prepare": _call_lines,
    "query_settings": _call_query_settings,
    **_with_validators(_call_pure, render=require_plan),
    **_with_validators(_call_engine, find=require_reference_or_none, status=require_status, outputs=require_outputs),
    **_with_validators(_call_engine, cancel=accept_anything, download=accept_anything, register=require_registered),
    "check": _call_check,
    "preflight": _call_preflight,
    "submit": _call_submit,
    "logs": _call_lines,
}
