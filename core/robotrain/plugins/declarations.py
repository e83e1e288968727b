"""Validation of what plugins declare: a wrong type or name is a failure, a doubtful one is a warning."""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from robotrain_runtime.contract.parameter import Param, Parameter, get_parameters

from robotrain.errors import Suggestion, find_nearest_name
from robotrain.model.capabilities import ANY, FEATURES, LIMITS, YES, Capabilities, Support
from robotrain.model.health import HealthCheck
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, RoleFlag, SourceKind
from robotrain.model.workload import Role, Workload, WorkloadProfile
from robotrain.plugins import guards, hookspecs
from robotrain.plugins.failures import UnsuitablePlugin

if TYPE_CHECKING:
    from robotrain.plugins.claims import Claim
    from robotrain.plugins.manager import Plugins

FLAG = re.compile(r"--[A-Za-z0-9][A-Za-z0-9_-]*|-[A-Za-z]")
EXPECTED: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "a bool",
    type: "a frozen dataclass, the class itself",
    tuple: "a tuple",
    Mapping: "a mapping",
    Collection: "a collection",
    Callable: "a function",
    Support: "a robotrain.plugin.Support, such as YES or no(…)",
}
"""What messages call a type; others by their public name."""
VALUE_TYPES = (str, int, float, bool)
DECLARED = {"platform": Platform, "source": SourceKind, "workload": Workload, "health": HealthCheck}
"""What the hook of each family provides."""
PARTS = (Capabilities, Support, Pinning, RoleFlag, Role, WorkloadProfile)
"""The types whose own fields are looked at too."""


def validate_declaration(family: str, thing: Any) -> None:
    """Raise TypeError, ValueError or UnsuitablePlugin for a malformed part of what a plugin provides."""
    kind: type = DECLARED[family]
    if not isinstance(thing, kind):
        raise TypeError(f"its hook provides a {type(thing).__name__}; expected a robotrain.plugin.{kind.__name__}")
    _validate_fields_of(kind, thing)
    if isinstance(thing, Platform):
        for name, number in thing.capabilities.limits.items():
            if number < 1:
                raise ValueError(f"its `capabilities.limits[{name!r}]` is {number}; expected a number above 0")
        validate_fields("settings", thing.settings)
    elif isinstance(thing, SourceKind):
        for role, flag in thing.roles.items():
            _validate_flags(f"roles[{role!r}]", flag.flag, *flag.aliases)
    elif isinstance(thing, Workload):
        if wrong := [name for name in thing.roles if not name.isidentifier()]:
            raise ValueError(f"its `roles` has the name {wrong[0]!r}; expected a word of letters, digits and _")
        validate_fields("parameters", thing.parameters)


def _validate_fields_of(declared: type, thing: Any, where: str = "") -> None:
    for name, kind in typing.get_type_hints(declared, localns={"Job": Any, "Problem": Any}).items():
        _validate_value(f"{where}{name}", getattr(thing, name), kind)


def _validate_value(where: str, value: Any, kind: Any) -> None:
    """Raise TypeError or ValueError for a value that is not of an annotated type."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        if value not in parts:
            raise ValueError(f"its `{where}` is {value!r}; expected one of {', '.join(map(str, parts))}")
    elif origin in (typing.Union, types.UnionType):
        if value is not None:
            _validate_value(where, value, next(part for part in parts if part is not type(None)))
    elif not _is_instance(value, origin):
        there = "None" if value is None else f"a {type(value).__name__}"
        expected = EXPECTED.get(origin, f"a robotrain.plugin.{origin.__name__}")
        raise TypeError(f"its `{where}` is {there}; expected {expected}")
    elif origin is Mapping:
        for key, item in value.items():
            if get_origin(parts[0]) is tuple and not (isinstance(key, tuple) and len(key) == 2):
                raise TypeError(f"its `{where}` has the key {key!r}; expected a pair of texts")
            _validate_value(f"{where}[{key!r}]", item, parts[1])
    elif origin is tuple and parts[1:] == (...,):
        for at, item in enumerate(value):
            _validate_value(f"{where}[{at}]", item, parts[0])
    elif origin in PARTS:
        _validate_fields_of(origin, value, f"{where}.")


def _is_instance(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind in (bool, Any)
    return kind is Any or isinstance(value, (int, float) if kind is float else kind)


def _validate_flags(where: str, flag: str, *others: str) -> None:
    """Raise ValueError for an invalid option name; `flag`, which help shows, must be a long one."""
    if wrong := [one for one in (flag, *others) if not FLAG.fullmatch(one)]:
        raise ValueError(f"its `{where}` has the flag {wrong[0]!r}; expected one such as --name")
    if not flag.startswith("--"):
        raise ValueError(f"its `{where}` has the flag {flag!r}; expected a long one such as --name")


EXPECTED_TYPE = "a str, int, float or bool, or a Literal of texts (with `| None` where it may be left out)"
PARAM_HINTS: Sequence[tuple[type | tuple[type, ...], str]] = (
    (str, ""),
    (os.PathLike, "path=True"),
    (dict, "table=True, for a value by each name"),
    ((list, tuple, set), "json=True, for a list or a mapping"),
)
"""The argument that lets a Param's text stand for a type."""


def validate_fields(name: str, declared: Any) -> None:
    """Raise TypeError, ValueError or UnsuitablePlugin for a class that does not declare values correctly."""
    if not isinstance(declared, type) or not dataclasses.is_dataclass(declared):
        raise TypeError(f"its `{name}` is no dataclass; expected {EXPECTED[type]}")
    known = {one.name: one for one in get_parameters(declared)}
    for field in dataclasses.fields(declared):
        where = f"{name}.{field.name}"
        if field.name not in known:
            kind = typing.get_type_hints(declared)[field.name]
            raise UnsuitablePlugin(f"its `{where}` has no Param", _suggest_field(field.name, _format_type(kind)))
        one = known[field.name]
        _validate_type(where, one)
        if field.default_factory is not dataclasses.MISSING:
            raise UnsuitablePlugin(
                f"its `{where}` has a default_factory; expected a default that help can show",
                _suggest_field(one.name, _format_type(one.type), end=" = …"),
            )
        if not one.required:
            _validate_default(where, one)
        _validate_fields_of(Param, one.param, f"{where}, ")
        _validate_flags(where, one.flag, *one.flags, *filter(None, [one.param.off]))


def _validate_type(where: str, one: Parameter) -> None:
    rest = [part for part in _split_union(one.type) if part is not type(None)]
    literal = get_origin(one.bare_type) is Literal
    if len(rest) == 1 and (rest[0] in VALUE_TYPES or (literal and all(isinstance(w, str) for w in get_args(rest[0])))):
        return
    due = Literal[one.choices] if literal else str
    made = get_origin(one.bare_type) or one.bare_type
    hint = next((hint for kind, hint in PARAM_HINTS if isinstance(made, type) and issubclass(made, kind)), "")
    raise UnsuitablePlugin(
        f"its `{where}` is declared as {_format_type(one.type)}; expected {EXPECTED_TYPE}",
        _suggest_field(one.name, _format_type(due) + " | None" * (type(None) in _split_union(one.type)), hint),
    )


def _validate_default(where: str, one: Parameter) -> None:
    try:
        _validate_value(where, one.default, one.type)
    except (TypeError, ValueError):
        kind = _format_type(one.type)
        ways = [_suggest_field(one.name, f"{kind} | None", end=" = None")] if one.default is None else []
        why = f"its `{where}` is declared as {kind}, and its default {one.default!r} is no such value"
        raise UnsuitablePlugin(why, *ways) from None


def _split_union(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _suggest_field(name: str, kind: str, more: str = "", end: str = "") -> Suggestion:
    param, _, note = more.partition(", ")
    said = ", ".join(filter(None, ("help=…", param)))
    return Suggestion(f"{name}: Annotated[{kind}, Param({said})]{end}", note)


def _format_type(kind: Any) -> str:
    """Return a type as it is written."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


REQUIRED_METHODS = ("render", "submit", "find", "status", "logs", "cancel", "outputs", "download", "register")


def find_plugin_warnings(plugins: Plugins) -> dict[Claim, list[str]]:
    """Return warnings by claim, without full stops, once everything is loaded."""
    found: dict[Claim, list[str]] = {}
    for claim, text in _find_warnings(plugins):
        found.setdefault(claim, []).append(text)
    return found


def _find_warnings(plugins: Plugins) -> Iterator[tuple[Claim, str]]:
    newest = hookspecs.API_VERSION
    for claim in plugins.loaded:
        if (version := hookspecs.get_api_version(claim)) < newest:
            yield claim, f"it is written for version {version} of the plugin API, and the newest is {newest}"
    kinds, platforms = plugins.source_kinds(), plugins.platforms()
    for family in ("platform", "workload", "source"):
        for owners, thing in plugins.list_provided(family):
            is_used = family == "source" and kinds.get(thing.name) is thing
            if not is_used and not any((owner.family, owner.name) == (family, thing.name) for owner in owners):
                yield owners[0], f'it brings {family} {thing.name} and does not claim it: "{family}.{thing.name}"'
    for name, platform in platforms.items():
        claim = next(one for one in plugins.list_claims("platform", name) if one in plugins.loaded)
        for (role, kind), support in platform.capabilities.sources.items():
            if support and kind != ANY and kind not in kinds:
                yield claim, f"it says yes to {role} from {kind}, and nothing installed brings that kind"
        yield from ((claim, text) for text in _check_names(platform))
    known = {*FEATURES, *(name for one in platforms.values() for name in one.capabilities.features)}
    for owners, workload in plugins.list_provided("workload"):
        for one in get_parameters(workload.parameters):
            if (feature := one.param.requires) and feature not in known:
                meant = f"; there is {near}" if (near := find_nearest_name(feature, known)) else ""
                yield owners[0], f"its parameter {one.name} needs the feature {feature}, which no platform has{meant}"


def _check_names(platform: Platform) -> Iterator[str]:
    """Yield a warning for required methods that are missing, and for names that are probably misspelled."""
    can = platform.capabilities
    optional = {"cancel": can.features.get("cancel", YES), "register": can.feature("register_model")}
    due = [one for one in REQUIRED_METHODS if optional.get(one, YES)]
    if missing := [one for one in due if not guards.has_method(platform, one)]:
        yield f"it has no method {', '.join(missing)}, and fails where that is needed"
    for word, known, declared in (("feature", FEATURES, can.features), ("limit", LIMITS, can.limits)):
        for one in declared:
            if one not in known and (meant := find_nearest_name(one, known)):
                yield f"it declares the {word} {one}, which robotrain has not; it has {meant}"
