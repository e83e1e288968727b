"""Check options after `--` against those of the locked LeRobot, before anything is submitted. Standard library only.

`options.json` of a version is generated from its configuration classes (`.ci/export_lerobot.py`): of each class the
fields, each as `[KIND]` or `[KIND, DEFAULT]`. A kind is a kind of value (`option_kinds`), `any`, or one of

- `{"fields": CLASS}`: the class's fields are options below this one;
- `{"choices": {NAME: CLASS}}`: so are those of the class that the option `.type` names;
- `{"one of": [TEXT]}` and `{"any of": [KIND]}`;
- `{"each": KIND}` and `{"items": [KIND]}`: a list of any length, and one with these items.

Rules between several options (`n_action_steps <= chunk_size`) are in no class: `policy_rules` has them.
"""

import functools
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import precision, versions
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot_options import other_versions
from robotrain_workloads.option_kinds import OptionProblem, describe_kinds, find_near_option, is_of_kind

PLUGINS_OPTION = "discover_packages_path"
"""Below an option with choices: LeRobot imports this package, which may add choices of its own."""
CHOICE_OPTIONS = ("type", "path", PLUGINS_OPTION)
YAML_PATTERNS = {
    "int": r"[+-]?\d[\d_]*",
    "number": r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?\.?(?:inf|infinity)|\.?nan",
    "bool": r"true|false|yes|no|on|off",
    "null": r"null|~",
}
"""Values as LeRobot reads them: as YAML."""
NUMBERS = ("int", "number")
Fields = Mapping[str, Sequence[Any]]


class OptionTree(NamedTuple):
    """LeRobot's options."""

    version: str
    root: str
    classes: Mapping[str, Fields]
    """Fields of each class."""


@functools.cache
def load_option_tree(version: object = None) -> OptionTree:
    """Return the options of a LeRobot version, by default the newest. Raise KeyError."""
    lerobot = versions.get_version(version)
    data = lerobot.read_tree()
    return OptionTree(lerobot.name, data["root"], data["classes"])


def find_option_problems(
    arguments: Sequence[str], chosen: Mapping[str, str], owned: Mapping[str, str], version: object = None
) -> Iterator[OptionProblem]:
    """Yield the problems of options that LeRobot would reject.

    :param chosen: what robotrain chooses, as `policy: act`; without it the options of every policy count.
    :param owned: options that robotrain sets itself, which are reported elsewhere, each with robotrain's own.
    :param version: of LeRobot; None for the newest.
    """
    tree = load_option_tree(version)
    given = list(split_options(arguments))
    types = {name.removesuffix(".type"): value for name, value in given if name.endswith(".type") and value}
    types = {**types, **chosen}
    open_ended = {name.partition(".")[0] for name, _ in given if name.endswith(f".{PLUGINS_OPTION}")}
    for name, value in given:
        if not name:
            text, _, given_value = (value or "").partition("=")
            suggestion = find_option(f"--{text}", given_value) if text and given_value else ""
            why = "LeRobot takes options only: --NAME=VALUE, or --NAME VALUE."
            yield OptionProblem(value or "", f"{value!r} is not an option", why, suggestion, replaces=text)
        elif f"--{name}" not in owned and name.partition(".")[0] not in open_ended:
            yield from _check_option(tree, name, value, types, owned)


def find_missing_options(
    arguments: Sequence[str], owned: Mapping[str, str], given_elsewhere: Container[str], version: object = None
) -> Iterator[OptionProblem]:
    """Yield each choice after `--`, such as `--scheduler.type`, without the numbers for which its class has no default.

    :param owned: options that robotrain sets itself, each with robotrain's own.
    :param given_elsewhere: those of robotrain's own that the job has.
    """
    tree, given = load_option_tree(version), dict(split_options(arguments))
    for name, value in given.items():
        prefix, _, part = name.rpartition(".")
        place = _find_place(tree, name, {}) if part == "type" else None
        if not place or value is None or value not in place.choices:
            continue
        fields = tree.classes[place.choices[value]].items()
        needed = [f"--{prefix}.{field}" for field, (kind, *default) in fields if kind in NUMBERS and not default]
        missing = [one for one in needed if one[2:] not in given and owned.get(one, "") not in given_elsewhere]
        if missing:
            title = f"--{name}={value} needs {', '.join(owned.get(one, one) for one in missing)}"
            own = [f"{owned[one]} N" for one in missing if one in owned]
            others = [f"{one}=N" for one in missing if one not in owned]
            suggestion = " ".join([*own, *(["--", *others] if others else [])])
            yield OptionProblem(f"--{name}={value}", title, "LeRobot has no default for them.", suggestion)


def find_option(flag: str, value: str) -> str:
    """Return the LeRobot option that an unknown flag probably means; empty if there is none."""
    given = _format(flag.removeprefix("--"), value or None)
    problem = next(find_option_problems([given], {}, {}), None)
    if problem is None:
        return given
    if "." in flag:
        return problem.suggestion
    tree, name = load_option_tree(), flag.removeprefix("--").replace("-", "_")
    is_of_policy = any(name in tree.classes[policy_class] for policy_class in _list_policies(tree).values())
    return _format(f"policy.{name}", value or None) if is_of_policy else ""


class _Place(NamedTuple):
    """Where the name of an option leads."""

    prefix: str
    """The parents of `part`."""
    part: str
    """What the classes of `level` may have."""
    level: Sequence[Fields] = ()
    choices: Mapping[str, str] = {}
    """The classes of the parent's choices."""
    kinds: Sequence[Sequence[Any]] = ()
    """Its kinds, with defaults; empty if there is no such option."""
    is_open: bool = False
    """Whether LeRobot reads a mapping or a plugin's class there."""

    @property
    def is_known(self) -> bool:
        """Whether there is such an option, or may be."""
        return self.is_open or bool(self.kinds) or bool(self.choices and self.part in CHOICE_OPTIONS)


def _find_place(tree: OptionTree, name: str, types: Mapping[str, str]) -> _Place:
    prefix, choices = "", dict[str, str]()
    level = [tree.classes[tree.root]]
    *parents, last = name.split(".")
    for parent in parents:
        found = [fields[parent][0] for fields in level if parent in fields]
        if not found:
            return _Place(prefix, parent, level)
        prefix += f"{parent}."
        choices = {key: class_name for kind in found for key, class_name in list_choices(kind).items()}
        chosen = types.get(prefix[:-1], "")
        level = [tree.classes[choices[key]] for key in choices if chosen not in choices or key == chosen]
        level += [tree.classes[class_name] for kind in found for class_name in list_nested(kind)]
        if not level:
            return _Place(prefix, last, is_open=True)
    return _Place(prefix, last, level, choices, [fields[last] for fields in level if last in fields])


def has_option(name: str, types: Mapping[str, str], version: object = None) -> bool:
    """Return whether a LeRobot version has an option, for the chosen types (`policy: act`) or for any."""
    return _find_place(load_option_tree(version), name, types).is_known


def is_switch(name: str, version: object = None) -> bool:
    """Return whether an option of a LeRobot version takes true or false alone, for every type that has it."""
    kinds = [kind for kind, *_ in _find_place(load_option_tree(version), name, {}).kinds]
    return bool(kinds) and all({*map(str, _list_kinds(kind))} - {"null"} == {"bool"} for kind in kinds)


def _check_option(
    tree: OptionTree, name: str, value: str | None, types: Mapping[str, str], owned: Mapping[str, str]
) -> Iterator[OptionProblem]:
    place = _find_place(tree, name, types)
    if not place.is_known:
        yield _explain_unknown(tree, name, value, place, types, owned)
    elif place.choices and place.part in CHOICE_OPTIONS:
        if place.part == "type" and value is not None and value not in place.choices:
            why, near = describe_kinds(["|".join(place.choices)]), find_near_option(value, place.choices)
            suggestion = f"--{name}={near}" if near else ""
            yield OptionProblem(_format(name, value), f"--{name} does not take {value!r}", why, suggestion)
    elif not place.is_open and value is not None and _is_group(place.kinds, value):
        yield _explain_group(name, value, place, owned)
    elif not place.is_open and value is not None and not any(_takes(kind, value) for kind, *_ in place.kinds):
        scalars = list(dict.fromkeys(scalar for kind, *_ in place.kinds for scalar in list_scalars(kind)))
        default = next((str(field[1]) for field in place.kinds if len(field) > 1), "")
        kinds = "It takes a list in brackets." if "any" in scalars else describe_kinds(scalars)
        why = kinds + (f" The default is {default}." if default else "")
        near = find_near_option(value.lower(), ("true", "false")) if "bool" in scalars else ""
        near = near or _correct_list(place.kinds, value)
        suggestion = f"--{name}={near}" if near else ""
        yield OptionProblem(_format(name, value), f"--{name} does not take {value!r}", why, suggestion)


def _explain_unknown(
    tree: OptionTree,
    name: str,
    value: str | None,
    place: _Place,
    types: Mapping[str, str],
    owned: Mapping[str, str],
) -> OptionProblem:
    prefix, part, given = place.prefix, place.part, _format(name, value)
    title = f"LeRobot {tree.version} has no option --{name}"
    owners = sorted(key for key in _list_policies(tree) if part in tree.classes[_list_policies(tree)[key]])
    chosen = types.get("policy", "")
    if found := other_versions.find_version(name, lambda other: has_option(name, types, other)):
        title += f" for {chosen}" if owners and prefix == "policy." and chosen else ""
        return OptionProblem(given, title, *found)
    if prefix == "policy." and owners:
        title, why = f"LeRobot {tree.version}'s {chosen} has no option --{name}", ", ".join(owners)
        formats = [ours for ours, theirs in precision.DTYPES.items() if part == precision.DTYPE and value == theirs]
        suggestion = f"--mixed-precision {formats[0]}" if formats else f"leave out --{name}"
        return OptionProblem(given, title, f"These policies have it: {why}.", suggestion, replaces=f"--{name}")
    kind = types.get(prefix.rstrip("."), "")
    is_of_type = prefix.startswith(("policy.", "reward_model."))
    why = f"`robotrain policies {kind or 'TYPE'}` lists all options." if is_of_type else "TAB lists them after --."
    rest = name[len(prefix) + len(part) :]
    of_policy, policy_class = name.replace("-", "_"), _list_policies(tree).get(types.get("policy", ""))
    if not prefix and policy_class and of_policy in tree.classes[policy_class]:
        return OptionProblem(given, title, why, _format(f"policy.{of_policy}", value), replaces=f"--{name}")
    if (flag := f"--{name.replace('_', '-')}") in owned and not prefix:
        return OptionProblem(given, title, why, f"{flag} {value}" if value else flag, replaces=f"--{name}")
    near = find_near_option(part, {field for fields in place.level for field in fields})
    if not near:
        return OptionProblem(given, title, why)
    option = f"{prefix}{near}{rest}"
    suggestion = _format(option, value)
    if hint := owned.get(f"--{option}", ""):
        suggestion = _fill_in(hint, value)
    return OptionProblem(given, title, why, suggestion, replaces=f"--{name}")


def _fill_in(hint: str, value: str | None) -> str:
    """Return robotrain's own option with the value of one that robotrain sets itself."""
    alternatives = hint.split(", or ")
    hint = alternatives[-1 if value == "false" else 0] if value in ("true", "false") else hint
    takes_value = re.fullmatch(r"--[a-z-]+", hint) and value not in (None, "true", "false")
    return f"{hint} {value}" if takes_value else hint


def _is_group(kinds: Sequence[Sequence[Any]], value: str) -> bool:
    """Return whether a plain value is given for a group of options, which has none."""
    parts = [part for kind, *_ in kinds for part in _list_kinds(kind) if part != "null"]
    is_group = bool(parts) and all(isinstance(part, dict) and {"fields", "choices"} & {*part} for part in parts)
    is_plain = any(re.fullmatch(YAML_PATTERNS[one], value, re.IGNORECASE) for one in ("bool", "int", "number"))
    return is_group and (is_plain or any(value in list_choices(part) for part in parts))


def _explain_group(name: str, value: str, place: _Place, owned: Mapping[str, str]) -> OptionProblem:
    """Explain a value of a group of options, with that of the group which probably is meant."""
    choices = {key for kind, *_ in place.kinds for key in list_choices(kind)}
    part = "type" if value in choices else "enable" if value.lower() in ("true", "false") else ""
    option = f"{name}.{part}"
    meant = bool(part) and _find_place(load_option_tree(), option, {}).is_known
    hint = owned.get(f"--{option}", "")
    suggestion = (_fill_in(hint, value.lower()) if hint else f"--{option}={value}") if meant else ""
    why = f"It is a group of options: --{name}.NAME=VALUE."
    return OptionProblem(
        _format(name, value), f"--{name} does not take {value!r}", why, suggestion, "error", f"--{name}"
    )


def find_default(name: str, kind: str, version: object = None) -> object:
    """Return LeRobot's default for an option of training; None where it has none, or no plain value.

    :param kind: the type of the policy or reward model.
    """
    tree = load_option_tree(version)
    fields = tree.classes[tree.root]
    parents, _, last = name.rpartition(".")
    if choices := list_choices(fields.get(parents, [None])[0]):
        fields = tree.classes.get(choices.get(kind, ""), {})
    elif parents:
        nested = [*list_nested(fields[parents][0])] if parents in fields else []
        fields = tree.classes[nested[0]] if len(nested) == 1 else {}
    field = fields.get(last, ())
    return field[1] if len(field) > 1 else None


def _list_policies(tree: OptionTree) -> Mapping[str, str]:
    return list_choices(tree.classes[tree.root]["policy"][0])


def _format(name: str, value: str | None) -> str:
    return f"--{name}" if value is None else f"--{name}={value}"


def _list_kinds(kind: Any) -> Iterator[Any]:
    if isinstance(kind, dict) and "any of" in kind:
        for alternative in kind["any of"]:
            yield from _list_kinds(alternative)
    else:
        yield kind


def list_choices(kind: Any) -> dict[str, str]:
    """Return the class of each choice."""
    kinds = [part for part in _list_kinds(kind) if isinstance(part, dict)]
    return {key: class_name for part in kinds for key, class_name in part.get("choices", {}).items()}


def list_nested(kind: Any) -> Iterator[str]:
    """Yield the classes whose fields are options below one of this kind."""
    yield from (part["fields"] for part in _list_kinds(kind) if isinstance(part, dict) and "fields" in part)


def list_scalars(kind: Any) -> Iterator[str]:
    """Yield the kinds of plain values, as `option_kinds` names them."""
    for part in _list_kinds(kind):
        if not isinstance(part, dict):
            yield part
        elif "one of" in part:
            yield "|".join(part["one of"])
        elif _is_list(part):
            yield "any"


def _takes(kind: Any, value: str) -> bool:
    """Return whether a value may be of a kind; what is no plain value is LeRobot's to read."""
    for part in _list_kinds(kind):
        if _is_list(part):
            if _takes_list(part, value.strip()):
                return True
        elif part == "any" or (isinstance(part, dict) and "one of" not in part):
            return True
    return any(
        re.fullmatch(YAML_PATTERNS[scalar], value, re.IGNORECASE)
        if scalar in YAML_PATTERNS
        else is_of_kind(value, scalar)
        for scalar in list_scalars(kind)
        if scalar != "any"
    )


def _is_list(kind: Any) -> bool:
    return isinstance(kind, dict) and ("each" in kind or "items" in kind)


def _takes_list(kind: Mapping[str, Any], value: str) -> bool:
    """Return whether a value may be a list of this kind; all but numbers is LeRobot's to read."""
    if not (value.startswith("[") and value.endswith("]")):
        return "\n" in value  # YAML without brackets
    if re.search(r"""[\[{"'#&*!|>%@`]|0[xob]""", value[1:]):
        return True
    items = [item.strip() for item in value[1:-1].rstrip().removesuffix(",").split(",")] if value[1:-1].strip() else []
    kinds = kind.get("items") or [kind["each"]] * len(items)
    return len(items) == len(kinds) and all(
        scalar not in ("int", "number") or any(re.fullmatch(YAML_PATTERNS[one], item, re.I) for one in (scalar, "bool"))
        for item, scalar in zip(items, kinds, strict=True)
    )


def _correct_list(kinds: Sequence[Sequence[Any]], value: str) -> str:
    """Return a list that a value of no list probably means; empty if it is unclear."""
    items = value.strip().strip("()[]")
    for kind in (part for one, *_ in kinds for part in _list_kinds(one) if _is_list(part)):
        for text in (f"[{items}]", f"[{items},{items}]"):
            if items and _takes_list(kind, text):
                return text.replace(" ", "")
    return ""
