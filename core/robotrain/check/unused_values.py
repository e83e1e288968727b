"""Values that a job has no use for, by the problems whose suggestion is to leave out their option.

One that a file of the project gives, which is for all jobs, is left out. Of any other that is not on the line, the
suggestion unsets it.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from robotrain_runtime.contract.parameter import UNSET, Parameter, get_parameters

from robotrain.config.resolve import Resolution
from robotrain.config.values import PROJECT_LAYERS, Value
from robotrain.errors import Problem, Suggestion, select_errors
from robotrain.line_edits import is_about_trainer, read_edit
from robotrain.messages import Messages

make_problem = Messages(__file__)

ON_THE_LINE = ("flag", "call")


def _find_left_out(problem: Problem, way: Suggestion, resolution: Resolution) -> list[tuple[Parameter, Value]]:
    """Return the values whose options a suggestion leaves out; none if it is about what stands after `--`."""
    edit = read_edit(way)
    if not edit.is_removal or is_about_trainer(problem):
        return []
    value_groups = (
        (resolution.workload.parameters, resolution.parameters),
        (type(resolution.settings), resolution.platform_settings),
    )
    values_by_flag = {
        flag: (parameter, values[parameter.name])
        for declared_type, values in value_groups
        for parameter in get_parameters(declared_type)
        for flag in (*parameter.flags, f"--no-{parameter.flag[2:]}")
        if parameter.name in values
    }
    return [values_by_flag[flag] for flag in edit.left_out] if values_by_flag.keys() >= {*edit.left_out} else []


def find_unused_values(problems: Iterable[Problem], resolution: Resolution) -> Iterator[tuple[str, Problem]]:
    """Yield the names of the project's values that the errors say to leave out, each with the note that says so."""
    for problem in select_errors(problems):
        for way in problem.suggestions:
            left_out_values = _find_left_out(problem, way, resolution)
            if left_out_values and all(value.origin.layer in PROJECT_LAYERS for _, value in left_out_values):
                for parameter, value in left_out_values:
                    note = make_problem("value-left-out", flag=parameter.flag, origin=value.origin, title=problem.title)
                    yield parameter.name, note
                break


def _format_unset(parameter: Parameter) -> str:
    """Return the option that unsets a parameter; empty if there is none."""
    if parameter.is_switch and parameter.default is False:
        return f"--no-{parameter.flag[2:]}"
    return f"{parameter.flag} {UNSET}" if parameter.can_be_unset else ""


def suggest_unsetting(problem: Problem, resolution: Resolution) -> Problem:
    """Return a problem that unsets, by its suggestions, what is to be left out and is not on the line."""
    ways = list[Suggestion]()
    for way in problem.suggestions:
        left_out_values = _find_left_out(problem, way, resolution)
        is_elsewhere = left_out_values and all(value.origin.layer not in ON_THE_LINE for _, value in left_out_values)
        texts = [_format_unset(parameter) for parameter, _ in left_out_values]
        if is_elsewhere and all(texts):
            way = Suggestion(" ".join(texts), way.remark)
        ways.append(way)
    return problem if tuple(ways) == problem.suggestions else dataclasses.replace(problem, suggestions=tuple(ways))
