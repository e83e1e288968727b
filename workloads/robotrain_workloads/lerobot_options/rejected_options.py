"""Check options after `--` against those of the locked LeRobot, before anything is submitted. Standard library only.

Rules between several options (`n_action_steps <= chunk_size`) are in no class of LeRobot's: `policy_rules` has them.
"""

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from robotrain_runtime.contract.problem import Problem

from robotrain_workloads.lerobot import precision
from robotrain_workloads.lerobot.option_tree import (
    PLUGINS_OPTION,
    OptionPlace,
    OptionTree,
    find_place,
    has_option,
    is_list,
    list_choices,
    list_kinds,
    list_scalars,
    load_option_tree,
)
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, read_value
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot_options import other_versions
from robotrain_workloads.option_kinds import describe_kinds, find_near_option, get_suggested_text, make_option_problem

NUMBERS = ("int", "number")
OWN_FLAG = re.compile(r"--[a-z-]+")
"""An option of robotrain in place of one that it sets itself, which takes the same value."""


def find_option_problems(
    arguments: Sequence[str],
    chosen: Mapping[str, str],
    owned: Mapping[str, str],
    version: object = None,
    json_prefix: str = "",
) -> Iterator[Problem]:
    """Yield the problems of options that LeRobot would reject.

    :param chosen: what robotrain chooses, as `policy: act`; without it the options of every policy count.
    :param owned: options that robotrain sets itself, which are reported elsewhere, each with robotrain's own.
    :param version: of LeRobot; None for the newest.
    :param json_prefix: what LeRobot reads beside a saved configuration, as JSON: `policy.`.
    """
    tree = load_option_tree(version)
    options = list(split_options(arguments))
    types = {name.removesuffix(".type"): value for name, value in options if name.endswith(".type") and value}
    types = {**types, **chosen}
    open_ended = {name.partition(".")[0] for name, _ in options if name.endswith(f".{PLUGINS_OPTION}")}
    for name, value in options:
        if not name:
            argument_text, _, given_value = (value or "").partition("=")
            suggestion = find_option(f"--{argument_text}", given_value) if argument_text and given_value else ""
            reason = "LeRobot takes options only: --NAME=VALUE, or --NAME VALUE."
            yield make_option_problem(value or "", f"{value!r} is not an option", reason, suggestion)
        elif f"--{name}" not in owned and name.partition(".")[0] not in open_ended:
            as_json = bool(json_prefix) and name.startswith(json_prefix)
            yield from _check_option(tree, name, value, types, owned, as_json=as_json)


def find_missing_options(
    arguments: Sequence[str], owned: Mapping[str, str], given_elsewhere: Container[str], version: object = None
) -> Iterator[Problem]:
    """Yield each choice after `--`, such as `--scheduler.type`, without the numbers for which its class has no default.

    :param owned: options that robotrain sets itself, each with robotrain's own.
    :param given_elsewhere: those of robotrain's own that the job has.
    """
    tree = load_option_tree(version)
    options = dict(split_options(arguments))
    for name, value in options.items():
        prefix, _, last_part = name.rpartition(".")
        option_place = find_place(tree, name, {}) if last_part == "type" else None
        if not option_place or value is None or value not in option_place.choices:
            continue
        fields = tree.classes[option_place.choices[value]].items()
        needed_options = [
            f"--{prefix}.{field}" for field, (kind, *default) in fields if kind in NUMBERS and not default
        ]
        missing_options = [
            option
            for option in needed_options
            if option[2:] not in options and owned.get(option, "") not in given_elsewhere
        ]
        if missing_options:
            title = f"--{name}={value} needs {', '.join(owned.get(option, option) for option in missing_options)}"
            owned_options = [f"{owned[option]} N" for option in missing_options if option in owned]
            other_options = [f"{option}=N" for option in missing_options if option not in owned]
            suggestion = " ".join([*owned_options, *(["--", *other_options] if other_options else [])])
            yield make_option_problem(f"--{name}={value}", title, "LeRobot has no default for them.", suggestion)


def find_option(flag: str, value: str) -> str:
    """Return the LeRobot option that an unknown flag probably means; empty if there is none."""
    option = _format(flag.removeprefix("--"), value or None)
    problem = next(find_option_problems([option], {}, {}), None)
    if problem is None:
        return option
    if "." in flag:
        return get_suggested_text(problem)
    tree = load_option_tree()
    name = flag.removeprefix("--").replace("-", "_")
    is_of_policy = any(name in tree.classes[policy_class] for policy_class in _list_policies(tree).values())
    return _format(f"policy.{name}", value or None) if is_of_policy else ""


def _check_option(
    tree: OptionTree,
    name: str,
    value: str | None,
    types: Mapping[str, str],
    owned: Mapping[str, str],
    *,
    as_json: bool,
) -> Iterator[Problem]:
    option_place = find_place(tree, name, types)
    if not option_place.is_known:
        yield _explain_unknown(tree, name, value, option_place, types, owned)
    elif option_place.is_choice:
        if option_place.part == "type" and value is not None and value not in option_place.choices:
            reason = describe_kinds(["|".join(option_place.choices)])
            nearest_choice = find_near_option(value, option_place.choices)
            suggestion = f"--{name}={nearest_choice}" if nearest_choice else ""
            yield make_option_problem(_format(name, value), f"--{name} does not take {value!r}", reason, suggestion)
    elif option_place.is_open or value is None or not _is_refused(option_place, value, as_json=as_json):
        return
    elif _is_group(option_place.kinds):
        yield _explain_group(name, value, option_place, owned)
    elif as_json and not _is_refused(option_place, value, as_json=False):
        meant_json = json.dumps(option_place.read_value(value))
        title = f"LeRobot {tree.version} does not take --{name}={value} for a {_name_model(name)} to start from"
        reason = f"Beside a configuration, it reads options as JSON: {meant_json}."
        yield make_option_problem(_format(name, value), title, reason, f"--{name}={meant_json}")
    else:
        yield _explain_value(name, value, option_place)


def _is_refused(option_place: OptionPlace, value: str, *, as_json: bool) -> bool:
    """Return whether LeRobot refuses a value; its parser takes null for every type, and then the training fails."""
    try:
        is_null = option_place.read_value(value, as_json=as_json) is None
    except UnreadValue:
        return False
    except RefusedValue:
        return True
    return is_null and not {"null", "any"} & {
        scalar for kind, *_ in option_place.kinds for scalar in list_scalars(kind)
    }


def _name_model(name: str) -> str:
    return name.partition(".")[0].replace("_", " ")


def _explain_value(name: str, value: str, option_place: OptionPlace) -> Problem:
    scalars = list(dict.fromkeys(scalar for kind, *_ in option_place.kinds for scalar in list_scalars(kind)))
    default = next((str(field[1]) for field in option_place.kinds if len(field) > 1), "")
    default = default.lower() if default in ("True", "False") else default
    kinds = "It takes a list in brackets." if "any" in scalars else describe_kinds(scalars)
    reason = kinds + (f" The default is {default}." if default else "")
    nearest_value = find_near_option(value.lower(), ("true", "false")) if "bool" in scalars else ""
    nearest_value = nearest_value or _correct_list(option_place.kinds, value)
    suggestion = f"--{name}={nearest_value}" if nearest_value else ""
    return make_option_problem(_format(name, value), f"--{name} does not take {value!r}", reason, suggestion)


def _explain_unknown(
    tree: OptionTree,
    name: str,
    value: str | None,
    option_place: OptionPlace,
    types: Mapping[str, str],
    owned: Mapping[str, str],
) -> Problem:
    prefix = option_place.prefix
    part = option_place.part
    argument = _format(name, value)
    title = f"LeRobot {tree.version} has no option --{name}"
    owners = sorted(key for key in _list_policies(tree) if part in tree.classes[_list_policies(tree)[key]])
    chosen_type = types.get("policy", "")
    if replacement := other_versions.replace_newer(f"--{name}", value or "", publishes=False):
        return make_option_problem(argument, title, replacement[0], replacement[1][0])
    if explanation := other_versions.find_version(name, lambda other: has_option(name, types, other)):
        title += f" for {chosen_type}" if owners and prefix == "policy." and chosen_type else ""
        return make_option_problem(argument, title, *explanation)
    if prefix == "policy." and owners:
        title = f"LeRobot {tree.version}'s {chosen_type} has no option --{name}"
        reason = ", ".join(owners)
        formats = [
            format_name for format_name, dtype in precision.DTYPES.items() if part == precision.DTYPE and value == dtype
        ]
        suggestion = f"--mixed-precision {formats[0]}" if formats else f"leave out --{name}"
        return make_option_problem(argument, title, f"These policies have it: {reason}.", suggestion)
    kind = types.get(prefix.rstrip("."), "")
    is_of_type = prefix.startswith(("policy.", "reward_model."))
    reason = f"`robotrain policies {kind or 'TYPE'}` lists all options." if is_of_type else "TAB lists them after --."
    name_rest = name[len(prefix) + len(part) :]
    policy_option = name.replace("-", "_")
    policy_class = _list_policies(tree).get(types.get("policy", ""))
    if not prefix and policy_class and policy_option in tree.classes[policy_class]:
        return make_option_problem(argument, title, reason, _format(f"policy.{policy_option}", value))
    if (flag := f"--{name.replace('_', '-')}") in owned and not prefix:
        return make_option_problem(argument, title, reason, f"{flag} {value}" if value else flag)
    nearest_name = find_near_option(part, {field for fields in option_place.level for field in fields})
    if not nearest_name:
        own_flags = {hint for hint in owned.values() if OWN_FLAG.fullmatch(hint)}
        own_flag = "" if prefix else find_near_option(f"--{name.replace('_', '-')}", own_flags)
        suggestion = _fill_in(own_flag, value) if own_flag else ""
        return make_option_problem(argument, title, reason, suggestion)
    option = f"{prefix}{nearest_name}{name_rest}"
    suggestion = _format(option, value)
    if hint := owned.get(f"--{option}", ""):
        suggestion = _fill_in(hint, value)
    return make_option_problem(argument, title, reason, suggestion)


def _fill_in(hint: str, value: str | None) -> str:
    """Return robotrain's own option with the value of one that robotrain sets itself."""
    alternatives = hint.split(", or ")
    hint = alternatives[-1 if value == "false" else 0] if value in ("true", "false") else hint
    takes_value = OWN_FLAG.fullmatch(hint) and value not in (None, "true", "false")
    return f"{hint} {value}" if takes_value else hint


def _is_group(kinds: Sequence[Sequence[Any]]) -> bool:
    """Return whether it has options below it alone, and no value."""
    parts = [part for kind, *_ in kinds for part in list_kinds(kind) if part != "null"]
    return bool(parts) and all(isinstance(part, dict) and {"fields", "choices"} & {*part} for part in parts)


def _explain_group(name: str, value: str, option_place: OptionPlace, owned: Mapping[str, str]) -> Problem:
    """Explain a value of a group of options, with that of the group which probably is meant."""
    choices = {key for kind, *_ in option_place.kinds for key in list_choices(kind)}
    option_name = "type" if value in choices else "enable" if value.lower() in ("true", "false") else ""
    option = f"{name}.{option_name}"
    is_meant = bool(option_name) and find_place(load_option_tree(), option, {}).is_known
    hint = owned.get(f"--{option}", "")
    suggestion = (_fill_in(hint, value.lower()) if hint else f"--{option}={value}") if is_meant else ""
    reason = f"It is a group of options: --{name}.NAME=VALUE."
    return make_option_problem(_format(name, value), f"--{name} does not take {value!r}", reason, suggestion)


def _list_policies(tree: OptionTree) -> Mapping[str, str]:
    return list_choices(tree.classes[tree.root]["policy"][0])


def _format(name: str, value: str | None) -> str:
    return f"--{name}" if value is None else f"--{name}={value}"


def _correct_list(kinds: Sequence[Sequence[Any]], value: str) -> str:
    """Return a list that a value of no list probably means; empty if it is unclear."""
    list_items = value.strip().strip("()[]")
    for kind in (part for declared_kind, *_ in kinds for part in list_kinds(declared_kind) if is_list(part)):
        for list_text in (f"[{list_items}]", f"[{list_items},{list_items}]") if list_items else ():
            with suppress(RefusedValue, UnreadValue):
                read_value(list_text, kind)
                return list_text.replace(" ", "")
    return ""
