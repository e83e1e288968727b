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
from robotrain.config.validate import describe_expected_value, is_kind_of_value, is_refused_number
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
    if not arguments or workload.own_command or any(workload.roles[chosen.role].is_program for chosen in inputs.chosen):
        return
    owner_by_flag = dict.fromkeys(request.flags, "robotrain")
    owner_by_flag |= dict.fromkeys(list_flags(workload.parameters), "workload " + workload.name)
    owner_by_flag |= dict.fromkeys(list_flags(platform.settings), "platform " + platform.name)
    hints = {**platform.option_hints, **workload.option_hints}
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, value = str(argument.value).partition("=")
        if not equals and following is not None and not str(following.value).startswith("--"):
            value = str(following.value)
        managed = name if name in workload.managed_options else workload.get_option_name(name + equals)  # `+a.b=1`
        needed = workload.managed_with_roles.get(name, ())
        roles = {chosen.role for chosen in inputs.chosen}
        if needed and roles.isdisjoint(needed):
            way, where = suggest_leaving_out(name), argument.origin.where
            yield make_problem(
                "option-owned.no-effect", way, where=where, given=name, name=name, needed=", ".join(needed)
            )
        elif managed in workload.managed_options:
            reason, texts = replace_managed_option(managed, value, workload)
            ways = [_place_option(text, name, request, workload, platform) for text in texts]
            yield make_problem(
                "option-owned.set", *ways, where=argument.origin.where, given=name, name=name, why=reason
            )
        elif (
            name in hints and name not in owner_by_flag and name.startswith("--")
        ):  # a trainer may have any short option
            owner = workload.name if name in workload.option_hints else platform.name
            yield make_problem(
                "option-elsewhere.hint",
                where=argument.origin.where,
                given=name,
                name=name,
                program=workload.program,
                owner=owner,
                hint=hints[name],
            )
        elif name in owner_by_flag:
            text = _move_option(name, value, workload, platform)
            way = _place_option(text, name, request, workload, platform)
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


def _place_option(text: str, name: str, request: Request, workload: Workload, platform: Platform) -> Suggestion:
    """Return the suggestion of an option in the place of that of the trainer's, unless the job has that one already.

    :param text: the option with its value, or what is to be done otherwise.
    :param name: the trainer's option.
    """
    if text.startswith(LEAVE_OUT):
        return suggest_leaving_out(name)
    flag, _, value = text.partition(" ")
    if stated := _find_given(flag, request, workload, platform):
        return suggest_leaving_out(name, remark=f"{stated} stays")
    way = _suggest_override(flag, value, request, workload, platform)
    return (way or Suggestion(text))._replace(replaces=name)


def _find_given(flag: str, request: Request, workload: Workload, platform: Platform) -> str:
    """Return an option with its value as the line has it; empty if it has not."""
    line = request.line
    sources = {source.origin.where: source.text for source in line.sources if source.origin.where == flag}
    value = line.values.get(Names(workload, platform).find_spelling(flag))
    texts = [str(value.value)] if value and value.origin.layer == "flag" else []
    if flag == "--platform":
        texts.append(platform.name)
    text = next(iter((*sources.values(), *texts)), None)
    return "" if text is None else f"{flag} {redact(text)}"


def _move_option(flag: str, value: str, workload: Workload, platform: Platform) -> str:
    """Return an option before `--`, with the value that it had after it; a switch has none."""
    declared = (*get_parameters(workload.parameters), *get_parameters(platform.settings))
    parameter = next((parameter for parameter in declared if flag in parameter.flags), None)
    if parameter and parameter.is_switch:
        return f"--no-{flag.lstrip('-')}" if value.lower() == "false" else flag
    if parameter and value and not is_kind_of_value(parameter, value):
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
    shown = value if value and _can_show(value) else "VALUE"
    return Suggestion(f"--set {key}={shown}") if field else None


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


def _join_pairs(text: str) -> str:
    """Return the names and values of a JSON object as a table's text; empty if it is no object of texts."""
    with contextlib.suppress(ValueError):
        pairs = json.loads(text)
        if isinstance(pairs, dict) and all(isinstance(value, str) for value in pairs.values()):
            return ",".join(f"{name}={value}" for name, value in pairs.items())
    return ""


def replace_managed_option(option: str, value: str, workload: Workload) -> tuple[str, list[str]]:
    """Return what to use instead of an option that robotrain sets, and why: why its parameter does not take the value,
    or why nothing takes its place.
    """
    unfilled = workload.managed_options[option]
    if unfilled.startswith(REMOVAL):
        reason = unfilled.removeprefix(REMOVAL)
        return f"{reason[:1].upper()}{reason[1:]}.", [f"{LEAVE_OUT}{option}"]
    hint = _choose_alternative(unfilled, fill_in_value(unfilled, value), value)
    flag, _, filled = hint.partition(" ")
    parameter = next((parameter for parameter in get_parameters(workload.parameters) if flag in parameter.flags), None)
    if parameter and parameter.is_switch and value.lower() == "false":
        return "", [f"--no-{flag[2:]}"]
    if parameter and not parameter.is_switch and not filled:
        return "", [f"{flag} {parameter.metavar}"]
    if parameter and filled == shlex.quote(value) and is_refused_number(parameter, value):
        return f"{flag} takes {describe_expected_value(parameter)}.", [f"{flag} {parameter.metavar}"]
    if not parameter or not parameter.choices or filled != shlex.quote(value):
        return "", [hint]
    if value in parameter.choices:
        return "", [hint]
    near = [way.text for way in suggest_name(value, parameter.choices, prefix=f"{flag} ")]
    return f"{flag} takes {describe_expected_value(parameter)}.", near or [
        f"{flag} {choice}" for choice in parameter.choices
    ]


def _choose_alternative(unfilled: str, filled: str, value: str) -> str:
    """Return the one of two hints that fits a value: the first of a truth, else the one that was filled in."""
    before = unfilled.split(ALTERNATIVE)
    after = filled.split(ALTERNATIVE)
    if len(before) != 2 or len(after) != 2:
        return filled
    is_switch = before[1] == f"--no-{before[0][2:]}"
    if value.lower() in ("true", "false") or (is_switch and not value):
        return after[value.lower() == "false"]
    changed = [suggestion for old, suggestion in zip(before, after, strict=True) if old != suggestion]
    return changed[0] if len(changed) == 1 else filled
