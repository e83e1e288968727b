"""Arguments of the trainer that robotrain sets itself or that are its own options, and what to use instead."""

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence

from robotrain_runtime.contract.parameter import get_parameters, list_flags

from robotrain.config.names import Names
from robotrain.config.request import Request
from robotrain.config.sources import JobInputs
from robotrain.config.validate import describe_expected_value, is_valid
from robotrain.config.values import Value
from robotrain.errors import LEAVE_OUT, Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.nearest_name import suggest_name
from robotrain.redaction import can_repeat, redact

make_problem = Messages(__file__)

MAX_FILLED_IN = 200
"""Characters of a value that a suggestion repeats."""
REMOVAL = "remove it: "
"""What the hint of a managed option begins with if nothing takes its place."""
ALTERNATIVE = ", or "
"""Between two hints of a managed option: for a truth and for its opposite, or for values of two forms."""
PAIRS_PLACEHOLDER = " KEY=KEY"
"""What the hint of a managed option ends with if the option takes a JSON object and the parameter a table."""


def find_misplaced_args(
    arguments: Sequence[Value], inputs: JobInputs, workload: Workload, platform: Platform, request: Request
) -> Iterator[Problem]:
    """Yield problems for trainer arguments that robotrain sets itself or that are its own options."""
    if (
        not arguments
        or workload.own_command
        or any(workload.roles[job_input.role].is_program for job_input in inputs.chosen)
    ):
        return
    owner_by_flag = dict.fromkeys(request.flags, "robotrain")
    owner_by_flag |= dict.fromkeys(list_flags(workload.parameters), "workload " + workload.name)
    owner_by_flag |= dict.fromkeys(list_flags(platform.settings), "platform " + platform.name)
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, option_value = str(argument.value).partition("=")
        if not equals and following is not None and not str(following.value).startswith("--"):
            option_value = str(following.value)
        managed = name if name in workload.managed_options else workload.get_option_name(name + equals)  # `+a.b=1`
        needed_roles = workload.managed_with_roles.get(name, ())
        roles = {job_input.role for job_input in inputs.chosen}
        if needed_roles and roles.isdisjoint(needed_roles):
            way, argument_place = suggest_leaving_out(name), argument.origin.where
            yield make_problem(
                "option-owned.no-effect",
                way,
                where=argument_place,
                given=name,
                name=name,
                needed=", ".join(needed_roles),
            )
        elif managed in workload.managed_options:
            reason, option_texts = replace_managed_option(managed, option_value, workload)
            ways = [_place_option(option_text, name, request, workload, platform) for option_text in option_texts]
            yield make_problem(
                "option-owned.set", *ways, where=argument.origin.where, given=name, name=name, why=reason
            )
        elif name in owner_by_flag:
            option_text = _move_option(name, option_value, workload, platform)
            way = _place_option(option_text, name, request, workload, platform)
            is_moved = way.text.partition(" ")[0] == name and not way.remark
            way = way._replace(remark="before --") if is_moved else way
            yield make_problem(
                "option-elsewhere.after-dashes",
                way,
                where=argument.origin.where,
                given=name,
                name=name,
                owner=owner_by_flag[name],
                program=workload.program,
            )


def _place_option(option_text: str, name: str, request: Request, workload: Workload, platform: Platform) -> Suggestion:
    """Return the suggestion of an option in the place of that of the trainer's, unless the job has that one already.

    :param option_text: the option with its value, or what is to be done otherwise.
    :param name: the trainer's option.
    """
    if option_text.startswith(LEAVE_OUT):
        return suggest_leaving_out(name)
    flag, _, option_value = option_text.partition(" ")
    if stated_option := _find_given(flag, request, workload, platform):
        return suggest_leaving_out(name, remark=f"{stated_option} stays")
    way = _suggest_override(flag, option_value, request, workload, platform)
    return way or Suggestion(option_text)


def _find_given(flag: str, request: Request, workload: Workload, platform: Platform) -> str:
    """Return an option with its value as the line has it; empty if it has not."""
    line_layer = request.line
    sources = {source.origin.where: source.text for source in line_layer.sources if source.origin.where == flag}
    value = line_layer.values.get(Names(workload, platform).find_spelling(flag))
    value_texts = [str(value.value)] if value and value.origin.layer == "flag" else []
    if flag == "--platform":
        value_texts.append(platform.name)
    value_text = next(iter((*sources.values(), *value_texts)), None)
    return "" if value_text is None else f"{flag} {redact(value_text)}"


def _move_option(flag: str, value: str, workload: Workload, platform: Platform) -> str:
    """Return an option before `--`, with the value that it had after it; a switch has none."""
    parameters = (*get_parameters(workload.parameters), *get_parameters(platform.settings))
    parameter = next((parameter for parameter in parameters if flag in parameter.flags), None)
    if parameter and parameter.is_switch:
        return f"--no-{flag.lstrip('-')}" if value.lower() == "false" else flag
    if parameter and value and not is_valid(parameter, value):
        return f"{flag} {parameter.metavar}"
    return f"{flag} {shlex.quote(value) if _can_show(value) else 'VALUE'}" if value else flag


def _can_show(value: str) -> bool:
    return can_repeat(value) and value.isprintable() and len(value) <= MAX_FILLED_IN


def _suggest_override(
    flag: str, value: str, request: Request, workload: Workload, platform: Platform
) -> Suggestion | None:
    """Return how a job that is repeated, or a step of a pipeline, gets a value; None if an option gives it."""
    if not (request.complete or request.step) or not flag.startswith("--"):
        return None
    field = Names(workload, platform if request.step else None).find_short(flag)
    key = f"{redact(request.step)}.{field}" if request.step else field
    shown_value = value if value and _can_show(value) else "VALUE"
    return Suggestion(f"--set {key}={shown_value}") if field else None


def fill_in_value(hint: str, value: str) -> str:
    """Return the hint of a managed option with the value that was given for the option, unless that may be a secret.

    `--flag` becomes `--flag VALUE`; in `--flag FOLDER, or --other OWNER/NAME` the fitting placeholder is replaced, and
    `KEY=KEY` by the pairs of a JSON object.
    """
    if not value or value.lower() in ("true", "false"):
        return hint
    if not _can_show(value):
        return hint
    if re.fullmatch(r"--[a-z][a-z0-9-]*", hint):
        return f"{hint} {shlex.quote(value)}"
    if hint.endswith(PAIRS_PLACEHOLDER):
        return hint.replace(PAIRS_PLACEHOLDER, f" {shlex.quote(_join_pairs(value))}") if _join_pairs(value) else hint
    is_name = re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", value)
    if not hint.startswith("--"):
        placeholder = " OWNER/NAME" if is_name else "@REVISION"
        return hint.replace(placeholder, f"{placeholder[0]}{shlex.quote(value)}")
    placeholder = "OWNER/NAME" if is_name else "FOLDER"
    return hint.replace(f" {placeholder}", f" {shlex.quote(value)}", 1)


def _join_pairs(json_text: str) -> str:
    """Return the names and values of a JSON object as a table's text; empty if it is no object of texts."""
    with contextlib.suppress(ValueError):
        pairs = json.loads(json_text)
        if isinstance(pairs, dict) and all(isinstance(value, str) for value in pairs.values()):
            return ",".join(f"{name}={value}" for name, value in pairs.items())
    return ""


def replace_managed_option(option: str, value: str, workload: Workload) -> tuple[str, list[str]]:
    """Return what to use instead of an option that robotrain sets, and why: why its parameter does not take the value,
    or why nothing takes its place.
    """
    unfilled_hint = workload.managed_options[option]
    if unfilled_hint.startswith(REMOVAL):
        reason = unfilled_hint.removeprefix(REMOVAL)
        return f"{reason[:1].upper()}{reason[1:]}.", [f"{LEAVE_OUT}{option}"]
    hint = _choose_alternative(unfilled_hint, fill_in_value(unfilled_hint, value), value)
    flag, _, filled_value = hint.partition(" ")
    parameter = next((parameter for parameter in get_parameters(workload.parameters) if flag in parameter.flags), None)
    if parameter and parameter.is_switch and value.lower() == "false":
        return "", [f"--no-{flag[2:]}"]
    if parameter and not parameter.is_switch and not filled_value:
        return "", [f"{flag} {parameter.metavar}"]
    if parameter and not parameter.choices and filled_value == shlex.quote(value) and not is_valid(parameter, value):
        return f"{flag} takes {describe_expected_value(parameter)}.", [f"{flag} {parameter.metavar}"]
    if not parameter or not parameter.choices or filled_value != shlex.quote(value):
        return "", [hint]
    if value in parameter.choices:
        return "", [hint]
    choice_texts = [way.text for way in suggest_name(value, parameter.choices, prefix=f"{flag} ")]
    return f"{flag} takes {describe_expected_value(parameter)}.", choice_texts or [
        f"{flag} {choice}" for choice in parameter.choices
    ]


def _choose_alternative(unfilled_hint: str, filled_hint: str, value: str) -> str:
    """Return the one of two hints that fits a value: the first of a truth, else the one that was filled in."""
    unfilled_hints = unfilled_hint.split(ALTERNATIVE)
    filled_hints = filled_hint.split(ALTERNATIVE)
    if len(unfilled_hints) != 2 or len(filled_hints) != 2:
        return filled_hint
    is_switch = unfilled_hints[1] == f"--no-{unfilled_hints[0][2:]}"
    if value.lower() in ("true", "false") or (is_switch and not value):
        return filled_hints[value.lower() == "false"]
    changed_hints = [
        filled_part
        for unfilled_part, filled_part in zip(unfilled_hints, filled_hints, strict=True)
        if unfilled_part != filled_part
    ]
    return changed_hints[0] if len(changed_hints) == 1 else filled_hint
