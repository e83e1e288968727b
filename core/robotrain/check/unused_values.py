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
from robotrain.line_edits import DASHES, read_edit
from robotrain.messages import Messages

make_problem = Messages(__file__)

ON_THE_LINE = ("flag", "call")


class _GivenOption:
    """The options of a job's values."""

    def __init__(self, resolution: Resolution) -> None:
        groups = (
            (resolution.workload.parameters, resolution.parameters),
            (type(resolution.settings), resolution.platform_settings),
        )
        self._found: dict[str, tuple[Parameter, Value]] = {
            flag: (parameter, values[parameter.name])
            for declared, values in groups
            for parameter in get_parameters(declared)
            for flag in (*parameter.flags, f"--no-{parameter.flag[2:]}")
            if parameter.name in values
        }

    def find(self, problem: Problem, way: Suggestion) -> list[tuple[Parameter, Value]]:
        """Return the values whose options a suggestion leaves out; none if it is about what stands after `--`."""
        words = problem.where.rpartition(": ")[2].split()
        is_own = words[:1] != [DASHES] and words[:1] != ["after"]
        edit = read_edit(way)
        flags = edit.left_out if is_own and edit.is_removal else ()
        return [self._found[flag] for flag in flags] if all(flag in self._found for flag in flags) else []


def find_unused_values(problems: Iterable[Problem], resolution: Resolution) -> Iterator[tuple[str, Problem]]:
    """Yield the names of the project's values that the errors say to leave out, each with the note that says so."""
    errors = select_errors(problems)
    if not errors:
        return
    options = _GivenOption(resolution)
    for problem in errors:
        for way in problem.suggestions:
            found = options.find(problem, way)
            if found and all(value.origin.layer in PROJECT_LAYERS for _, value in found):
                for parameter, value in found:
                    note = make_problem("value-left-out", flag=parameter.flag, origin=value.origin, title=problem.title)
                    yield parameter.name, note
                break


def suggest_unsetting(problem: Problem, resolution: Resolution) -> Problem:
    """Return a problem that unsets, by its suggestions, what is to be left out and is not on the line."""
    if not any(read_edit(way).is_removal for way in problem.suggestions):
        return problem
    options, ways = _GivenOption(resolution), list[Suggestion]()
    for way in problem.suggestions:
        found = options.find(problem, way)
        is_elsewhere = found and all(value.origin.layer not in ON_THE_LINE for _, value in found)
        if is_elsewhere and all(parameter.can_be_unset for parameter, _ in found):
            way = Suggestion(" ".join(f"{parameter.flag} {UNSET}" for parameter, _ in found), way.remark)
        ways.append(way)
    return dataclasses.replace(problem, suggestions=tuple(ways))
