"""LeRobot's spelling of robotrain's options: a line of LeRobot's is corrected in the words that it is typed in."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from robotrain.config.managed_options import ALTERNATIVE, fill_in_value
from robotrain.errors import Problem, Suggestion
from robotrain_runtime.contract.parameter import get_parameters

from robotrain_workloads.lerobot.option_values import read_known

if TYPE_CHECKING:
    from robotrain.model.workload import Workload

FLAG = re.compile(r"(?<![\w-])(--[a-z][\w-]*)(?![\w.-])")
REVISION_FORM = "[@REVISION]"


def list_spellings(workload: "Workload", model: str) -> dict[str, str]:
    """Return LeRobot's option for each option of robotrain that stands for one: the first that says it.

    Options of other trainers that robotrain answers with one of these are among them.

    :param model: `policy` or `reward_model`, what the line trains.
    """
    spellings: dict[str, str] = {}
    for option, hint in workload.managed_options.items():
        is_other = option.startswith(("--policy.", "--reward_model.")) and not option.startswith(f"--{model}.")
        if not hint.startswith("--") or is_other:
            continue
        for way in hint.split(ALTERNATIVE):
            spellings.setdefault(way.split()[0], option)
    for parameter in get_parameters(workload.parameters):
        for flag in parameter.flags if parameter.flag in spellings else ():
            spellings.setdefault(flag, spellings[parameter.flag])
    return spellings


def respell(text: str, spellings: Mapping[str, str]) -> str:
    """Return a text with LeRobot's options."""
    return FLAG.sub(lambda match: spellings.get(match[1], match[1]), text)


def respell_problem(problem: Problem, spellings: Mapping[str, str]) -> Problem:
    """Return a problem with LeRobot's options; suggestions that only robotrain can take are left out."""

    ways = [
        Suggestion(way_text, suggestion.remark)
        for suggestion in problem.suggestions
        for way_text in _respell_way(suggestion.text, spellings)
    ]
    respelled_fields = {name: respell(getattr(problem, name), spellings) for name in ("title", "where", "given", "why")}
    return replace(problem, **respelled_fields, suggestions=tuple(ways))  # type: ignore[arg-type]


def _respell_way(way_text: str, spellings: Mapping[str, str]) -> Iterator[str]:
    """Yield a suggestion in LeRobot's spelling, if it has one."""
    words = way_text.removeprefix("-- ")
    flag, _, value = words.partition(" ")
    if flag in spellings:
        yield f"{spellings[flag]}={value.replace(REVISION_FORM, '')}"
    elif not flag.startswith("--") or "." in flag or words != way_text:
        yield words


def fill_in_hint(hint: str, value: str | None) -> tuple[str, ...]:
    """Return the words that a hint of `managed_options` stands for with a value; none if it is no flag."""
    ways = hint.split(ALTERNATIVE)
    switch_value = read_known(value or "", "bool")
    if len(ways) == 2 and isinstance(switch_value, bool):
        return tuple(shlex.split(ways[0] if switch_value else ways[1]))
    filled_hints = fill_in_value(hint, value or "").split(ALTERNATIVE)
    filled_ways = [way for way, hint_way in zip(filled_hints, ways, strict=True) if way != hint_way]
    return tuple(shlex.split(filled_ways[0])) if filled_ways else ()


def find_refusal(words: Sequence[str], workload: "Workload") -> str:
    """Return why a parameter does not take a value; empty if nothing here rules it out."""
    flag, value = words[0], " ".join(words[1:])
    for parameter in get_parameters(workload.parameters):
        if flag in parameter.flags and value and parameter.choices and value not in parameter.choices:
            default = f"; without it, it is {parameter.default}" if parameter.default else ""
            return f"{flag} takes {' or '.join(parameter.choices)}{default}"
    return ""
