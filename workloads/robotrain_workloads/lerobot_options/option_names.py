"""Check the names, choices and kinds of options after `--` against LeRobot's, before anything is submitted."""

import json
from collections.abc import Iterator, Mapping, Sequence

from robotrain.messages import Messages
from robotrain.nearest_name import find_nearest_name
from robotrain.redaction import redact
from robotrain_runtime.contract.problem import Problem

from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, read_value
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.options_list import PLUGINS, OptionList, list_scalars, load_options
from robotrain_workloads.lerobot.versions import POLICIES, LeRobotVersion
from robotrain_workloads.option_kinds import describe_kinds, make_option_problem

make_problem = Messages(__file__)

POLICY_PREFIX = "policy."


def check_names(
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
    options = load_options(version)
    pairs = list(split_options(arguments))
    types = {name.removesuffix(".type"): value for name, value in pairs if name.endswith(".type") and value} | {
        **chosen
    }
    open_groups = {name.partition(".")[0] for name, _ in pairs if name.endswith(f".{PLUGINS}")}
    for name, value in pairs:
        if not name:
            yield make_option_problem(
                value or "", f"{value!r} is not an option", "LeRobot takes options only: --NAME=VALUE, or --NAME VALUE."
            )
        elif f"--{name}" not in owned and name.partition(".")[0] not in open_groups:
            yield from _check_option(options, name, value, types, owned, as_json=name.startswith(json_prefix or "-"))


def _check_option(
    options: OptionList,
    name: str,
    value: str | None,
    types: Mapping[str, str],
    owned: Mapping[str, str],
    *,
    as_json: bool,
) -> Iterator[Problem]:
    title = f"--{name} does not take {value!r}"
    group, _, part = name.partition(".")
    if options.is_choice(name):
        choices = options.choices[group]
        if part == "type" and value is not None and value not in choices:
            nearest_choice = find_nearest_name(value, choices)
            suggestion = f"--{name}={nearest_choice}" if nearest_choice else ""
            yield make_option_problem(_format(name, value), title, describe_kinds(["|".join(choices)]), suggestion)
    elif options.is_group(name, types):
        if value is not None and not value.startswith("{") and value != "null":
            reason = f"It is a group of options: --{name}.NAME=VALUE."
            yield make_option_problem(_format(name, value), title, reason)
    elif not options.has_option(name, types):
        yield _explain_unknown(options, name, value, types, owned)
    elif value is not None and is_refused(options, name, value, types, as_json=as_json):
        fields = options.list_fields(name, types)
        reason = describe_kinds(dict.fromkeys(kind for field in fields for kind in list_scalars(field[0])))
        suggestion = ""
        if as_json and not is_refused(options, name, value, types, as_json=False):
            meant_json = json.dumps(options.read_option(name, value, types))
            reason = f"Beside a configuration to start from, LeRobot reads options as JSON: {meant_json}."
            suggestion = f"--{name}={meant_json}"
        elif defaults := [str(field[1]) for field in fields if len(field) > 1]:
            reason += f" The default is {defaults[0]}."
        yield make_option_problem(_format(name, value), title, reason, suggestion)


def is_refused(options: OptionList, name: str, value: str, types: Mapping[str, str], *, as_json: bool) -> bool:
    """Return whether LeRobot refuses a value; its parser takes null for every kind, and then the training fails."""
    fields = options.list_fields(name, types)
    if not fields:  # in a mapping
        return False
    try:
        is_null = read_value(value, options.get_kind(name, types), as_json=as_json) is None
    except UnreadValue:
        return False
    except RefusedValue:
        return True
    return is_null and {"null", "any"}.isdisjoint(kind for field in fields for kind in list_scalars(field[0]))


def _explain_unknown(
    options: OptionList, name: str, value: str | None, types: Mapping[str, str], owned: Mapping[str, str]
) -> Problem:
    group, _, part = name.partition(".")
    kind = types.get(group, "")
    subject = f"LeRobot {options.version}'s {kind}" if kind else f"LeRobot {options.version}"
    reason = f"`robotrain policies {kind or 'TYPE'}` lists all options." if kind else "TAB lists them after --."
    owners = [owner for owner, fields in options.choices.get(group, {}).items() if part in fields]
    plain_name = name.replace("-", "_")
    names = [option for option in (plain_name, f"policy.{plain_name}") if options.list_fields(option, types)]
    if owners:
        suggestion, reason = f"leave out --{name}", f"These have it: {', '.join(owners)}."
    elif meant_name := next(iter(names), "") or find_nearest_name(name, {*options.list_names(types, group)}):
        suggestion = owned.get(f"--{meant_name}", _format(meant_name, value))
    else:
        suggestion = ""
    return make_option_problem(_format(name, value), f"{subject} has no option --{name}", reason, suggestion)


def _format(name: str, value: str | None) -> str:
    return f"--{name}" if value is None else f"--{name}={value}"


def separate_unchecked(
    arguments: Sequence[str], lerobot: LeRobotVersion, *, is_known: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the arguments that LeRobot's own options can be compared with, and the names of the other options.

    What all types of LeRobot have, one of a package has too.

    :param is_known: whether the type may be one of LeRobot's, so that an option that any of these has counts as known.
    """
    types = [lerobot.get_model_options(POLICIES, kind) for kind in lerobot.policies]
    common_names = (
        {name for options in types for name in options}
        if is_known
        else set.intersection(*(set(options) for options in types))
    )
    compared_options: list[str] = []
    unchecked_options: list[str] = []
    for name, value in split_options(arguments):
        if name.startswith(POLICY_PREFIX) and name.removeprefix(POLICY_PREFIX) not in common_names:
            unchecked_options.append(f"--{name}")
        else:
            option = f"--{name}" if value is None else f"--{name}={value}"
            compared_options.append(option if name else str(value))
    return tuple(compared_options), tuple(unchecked_options)


def warn_of_unchecked(option_names: Sequence[str]) -> Iterator[Problem]:
    """Yield a warning of options that nobody has checked."""
    if option_names:
        yield make_problem("options-unchecked", options=redact(", ".join(option_names)))
