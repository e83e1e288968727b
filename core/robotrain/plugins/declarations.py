"""Validation of what plugins declare: errors that exclude a plugin, and warnings about others."""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from robotrain_runtime.contract.parameter import Param, Parameter, get_parameters

from robotrain.errors import Suggestion, find_nearest_name
from robotrain.model.capabilities import ANY, FEATURES, LIMITS, YES, Capabilities, Support, SupportLevel
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, RoleFlag, SourceKind
from robotrain.model.workload import Produces, Role, Workload, WorkloadProfile
from robotrain.plugins import hookspecs
from robotrain.plugins.failures import UnsuitablePlugin
from robotrain.plugins.guards import has_method

if TYPE_CHECKING:
    from robotrain.plugins.claims import Claim
    from robotrain.plugins.loader import PluginLoader

FLAG_PATTERN = r"--[A-Za-z0-9][A-Za-z0-9_-]*|-[A-Za-z]"
TEXT = (str, "a text")
FIELDS: Mapping[type, Mapping[str, tuple[Any, str]]] = {
    Platform: {
        "name": TEXT,
        "summary": TEXT,
        "capabilities": (Capabilities, "a robotrain.plugin.Capabilities"),
        "can_prepare": (bool, "a bool"),
        "prepare_ignores": (Collection, "a collection of codes"),
        "option_hints": (Mapping, "a mapping of flags to what is said of them"),
    },
    Capabilities: {field.name: (Mapping, "a mapping") for field in dataclasses.fields(Capabilities)},
    SourceKind: {
        "name": TEXT,
        "roles": (Mapping, "a mapping of roles to flags"),
        "unsupported": (Mapping, "a mapping of roles to answers"),
        "pinning": (Pinning | None, "a robotrain.plugin.Pinning"),
    },
    RoleFlag: {"aliases": (tuple, "a tuple"), "env": (tuple, "a tuple"), "help": TEXT, "form": TEXT},
    Workload: {
        "name": TEXT,
        "roles": (Mapping, "a mapping of names to roles"),
        "option_hints": (Mapping, "a mapping of flags to what is said of them"),
        "profile": (WorkloadProfile, "a robotrain.plugin.WorkloadProfile"),
    },
    Support: {"reason": TEXT, "suggestion": TEXT},
}
"""The type of each field that other code relies on, and its name in messages."""


def validate_platform(platform: Platform) -> None:
    """Raise TypeError, ValueError or UnsuitablePlugin for a malformed part of a platform."""
    _require_fields(Platform, platform)
    can = platform.capabilities
    _require_fields(Capabilities, can, "capabilities.")
    for name, is_pair in (("sources", True), ("combinations", True), ("workloads", False), ("features", False)):
        _validate_supports(f"capabilities.{name}", getattr(can, name), is_pair)
    for feature, setting in can.required_settings.items():
        _require_type(_format_key("capabilities.required_settings", feature), setting, str, "the name of a setting")
    for key, number in can.limits.items():
        where = _format_key("capabilities.limits", key)
        _require_type(where, number, int, "a whole number")
        if number < 1:
            raise ValueError(f"its `{where}` is {number}; expected a number above 0")
    validate_fields("settings", platform.settings)


def validate_source_kind(kind: SourceKind) -> None:
    """Raise TypeError or ValueError for a malformed part of a source kind."""
    _require_fields(SourceKind, kind)
    for role, flag in kind.roles.items():
        where = f"roles[{role!r}]"
        _require_type(where, flag, RoleFlag, "a robotrain.plugin.RoleFlag")
        _require_fields(RoleFlag, flag, f"{where}.")
        for one in (flag.flag, *flag.aliases, *flag.env):
            _require_type(where, one, str, "a text for each spelling")
        _validate_flags(where, flag.flag, *flag.aliases)
    _validate_supports("unsupported", kind.unsupported)


def validate_workload(workload: Workload) -> None:
    """Raise TypeError, ValueError or UnsuitablePlugin for a malformed part of a workload."""
    _require_fields(Workload, workload)
    for name, role in workload.roles.items():
        _require_type("roles", name, str, "a text for each role")
        if not name.isidentifier():
            raise ValueError(f"its `roles` has the name {name!r}; expected a word of letters, digits and _")
        _require_type(f"roles[{name!r}]", role, Role, "a robotrain.plugin.Role")
    _require_choice("produces", workload.produces, get_args(Produces))
    validate_fields("parameters", workload.parameters)


def _require_type(name: str, value: Any, kind: Any, expected: str) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        there = "None" if value is None else f"a {type(value).__name__}"
        raise TypeError(f"its `{name}` is {there}; expected {expected}")


def _require_fields(declared: type, thing: Any, where: str = "") -> None:
    for name, (kind, expected) in FIELDS[declared].items():
        _require_type(f"{where}{name}", getattr(thing, name), kind, expected)


def _require_choice(name: str, given: Any, known: Sequence[str]) -> None:
    if given not in known:
        raise ValueError(f"its `{name}` is {given!r}; expected one of {', '.join(known)}")


def _validate_flags(where: str, flag: str, *others: str) -> None:
    """Raise ValueError for an invalid option name; `flag`, which help shows, must be a long one."""
    if wrong := [one for one in (flag, *others) if not re.fullmatch(FLAG_PATTERN, one)]:
        raise ValueError(f"its `{where}` has the flag {wrong[0]!r}; expected one such as --name")
    if not flag.startswith("--"):
        raise ValueError(f"its `{where}` has the flag {flag!r}; expected a long one such as --name")


def _validate_supports(name: str, declared: Mapping[Any, Any], is_pair: bool = False) -> None:
    for key, answer in declared.items():
        where = _format_key(name, key, is_pair)
        _require_type(where, answer, Support, "a robotrain.plugin.Support, such as YES or no(…),")
        _require_choice(where, answer.level, get_args(SupportLevel))
        _require_fields(Support, answer, f"{where}.")


def _format_key(name: str, key: Any, is_pair: bool = False) -> str:
    """Return the place of a value in messages. Raise TypeError if its key is no text, or no pair of texts."""
    if not is_pair:
        _require_type(name, key, str, "a text for each key")
    elif not isinstance(key, tuple) or len(key) != 2 or not all(isinstance(one, str) for one in key):
        raise TypeError(f"its `{name}` has the key {key!r}; expected a pair of texts")
    return f"{name}[{key!r}]"


VALUE_TYPES = (str, int, float, bool)
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
        raise TypeError(f"its `{name}` is to be a frozen dataclass, the class itself")
    hints = typing.get_type_hints(declared)
    known = {one.name: one for one in get_parameters(declared)}
    for field in dataclasses.fields(declared):
        where = f"{name}.{field.name}"
        if field.name not in known:
            raise UnsuitablePlugin(
                f"its `{where}` has no Param", _suggest_field(field.name, _format_type(hints[field.name]))
            )
        _validate_type(where, known[field.name])
        _validate_default(where, known[field.name], field)
        _validate_param(where, known[field.name])


def _validate_type(where: str, one: Parameter) -> None:
    rest = [part for part in _split_union(one.type) if part is not type(None)]
    texts = get_origin(rest[0]) is Literal and all(isinstance(word, str) for word in get_args(rest[0]))
    if len(rest) == 1 and (rest[0] in VALUE_TYPES or texts):
        return
    due = Literal[tuple(map(str, get_args(one.bare_type)))] if get_origin(one.bare_type) is Literal else str
    optional = " | None" if type(None) in _split_union(one.type) else ""
    made = get_origin(one.bare_type) or one.bare_type
    hint = next((hint for kind, hint in PARAM_HINTS if isinstance(made, type) and issubclass(made, kind)), "")
    raise UnsuitablePlugin(
        f"its `{where}` is declared as {_format_type(one.type)}; expected {EXPECTED_TYPE}",
        _suggest_field(one.name, _format_type(due) + optional, hint),
    )


def _validate_default(where: str, one: Parameter, field: dataclasses.Field[Any]) -> None:
    if field.default_factory is not dataclasses.MISSING:
        raise UnsuitablePlugin(
            f"its `{where}` has a default_factory; expected a default that help can show",
            _suggest_field(one.name, _format_type(one.type), end=" = …"),
        )
    if one.required or _matches_type(one.default, one):
        return
    ways = [_suggest_field(one.name, f"{_format_type(one.type)} | None", end=" = None")] if one.default is None else []
    raise UnsuitablePlugin(
        f"its `{where}` is declared as {_format_type(one.type)}, and its default {one.default!r} is no such value",
        *ways,
    )


def _matches_type(default: Any, one: Parameter) -> bool:
    if default is None:
        return type(None) in _split_union(one.type)
    if one.choices:
        return default in one.choices
    if isinstance(default, bool):
        return one.bare_type is bool
    return isinstance(default, (int, float) if one.bare_type is float else one.bare_type)


def _validate_param(where: str, one: Parameter) -> None:
    """Raise TypeError or ValueError for a Param with a value of the wrong type or an invalid flag."""
    for name, default in Param._field_defaults.items():
        if default is not None:  # bounds are numbers of either kind, and pydantic looks at them
            kind = type(default)
            _require_type(f"{where}, {name}", getattr(one.param, name), kind, f"a {kind.__name__}")
    _validate_flags(where, one.flag, *one.flags, *((one.param.off,) if one.param.off else ()))


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


def find_plugin_warnings(
    loader: PluginLoader, kinds: Mapping[str, SourceKind], platforms: Mapping[str, Platform]
) -> dict[Claim, list[str]]:
    """Return warnings by claim, without full stops."""
    found: dict[Claim, list[str]] = {}
    owners = {
        name: next(one for one in loader.list_claims("platform", name) if one in loader.loaded) for name in platforms
    }
    outdated = [(claim, text) for claim in loader.loaded if (text := hookspecs.describe_outdated_api(claim))]
    checked = [(owners[name], text) for name, one in platforms.items() for text in _check_sources(one, kinds)]
    named = [(owners[name], text) for name, one in platforms.items() for text in _check_names(one, owners[name])]
    unknown = _find_unknown_features(loader, platforms)
    for claim, text in (*outdated, *_find_unclaimed_names(loader, kinds), *checked, *unknown, *named):
        found.setdefault(claim, []).append(text)
    return found


def _find_unclaimed_names(loader: PluginLoader, kinds: Mapping[str, SourceKind]) -> Iterator[tuple[Claim, str]]:
    for family in ("platform", "workload", "source"):
        for owners, thing in loader.list_provided(family):
            claimed = any((owner.family, owner.name) == (family, thing.name) for owner in owners)
            taken = family == "source" and kinds.get(thing.name) is thing
            if not claimed and not taken:
                yield owners[0], f'it brings {family} {thing.name} and does not claim it: "{family}.{thing.name}"'


def _check_sources(platform: Platform, kinds: Mapping[str, SourceKind]) -> Iterator[str]:
    for (role, kind), support in platform.capabilities.sources.items():
        if support and kind != ANY and kind not in kinds:
            yield f"it says yes to {role} from {kind}, and nothing installed brings that kind"


def _check_names(platform: Platform, claim: Claim) -> Iterator[str]:
    """Yield a warning for required methods that are missing, and for names that are probably misspelled."""
    can = platform.capabilities
    optional = {"cancel": can.features.get("cancel", YES), "register": can.feature("register_model")}
    due = [one for one in REQUIRED_METHODS if optional.get(one, YES)]
    if not claim.built_in and (missing := [one for one in due if not has_method(platform, one)]):
        yield f"it has no method {', '.join(missing)}, and fails where that is needed"
    for word, known, declared in (("feature", FEATURES, can.features), ("limit", LIMITS, can.limits)):
        for one in declared:
            if one not in known and (meant := find_nearest_name(one, known)):
                yield f"it declares the {word} {one}, which robotrain has not; it has {meant}"


def _find_unknown_features(loader: PluginLoader, platforms: Mapping[str, Platform]) -> Iterator[tuple[Claim, str]]:
    """Yield a warning for each parameter that needs a feature which no platform knows."""
    known = {*FEATURES, *(name for one in platforms.values() for name in one.capabilities.features)}
    for owners, workload in loader.list_provided("workload"):
        for one in get_parameters(workload.parameters):
            if (feature := one.param.requires) and feature not in known:
                meant = f"; there is {near}" if (near := find_nearest_name(feature, known)) else ""
                yield owners[0], f"its parameter {one.name} needs the feature {feature}, which no platform has{meant}"
