"""Trials of suggestions before they are shown: the line that each makes is parsed, resolved and checked.

Only pure checks run: no network, no process, no rule of a site. What Terraform or a lookup may give counts as missing.
"""

import dataclasses
import functools
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.cli.command_factory import UsageError, get_plugins, read_typed_line
from robotrain.cli.parse_errors import explain_parse_error
from robotrain.cli.unknown_words import find_programs
from robotrain.config.resolve import Resolution
from robotrain.errors import Problem, Rejected, Stage, Suggestion, select_errors
from robotrain.line_edits import PROGRAM, TRAINER_OPTION, LineOptions, edit_line, read_edit, split_line
from robotrain.slow_notice import leave_out_slow_checks
from robotrain.store.written_files import JOB_FILE
from robotrain.submission.prepare import check_request

MAX_TRIALS = 20
"""How many suggestions of a line are tried; the others are shown as they are."""
SLOW_CODES = ("code-", "upload-")
"""How the codes begin of problems that a look at all files of a folder finds."""
PLACEHOLDER = re.compile(r"\{\w+\}")
ON_THE_LINE = ("-", "after --")
"""How the place of a problem begins that a change of the line has to remove."""


def keep_working_ways(command: Any, ctx: Any, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems of a job with the suggestions that remove them without another one, and of the others, such as
    what a platform answered, with those that change the job.

    If none of a problem does, the first that removes it is left: with what removes the next one, or that as a remark.
    """
    problems = tuple(problems)
    trials = _Trials(command, ctx)
    is_about_files = any(problem.code.startswith(SLOW_CODES) for problem in problems)
    with leave_out_slow_checks(not is_about_files):
        return tuple(map(trials.try_ways, problems))


def offer_job_file(ctx: Any, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems; where a source is missing, the line with the job file of this folder, or with the program
    that it is about, is the first way.
    """
    is_described = bool(ctx.params.get("words") or ctx.params.get("plan"))
    file, remark = JOB_FILE, "the job file of this folder"
    if not is_described and not Path(JOB_FILE).is_file():
        file, remark = next(find_programs(Path(), get_plugins(ctx)), ""), "the program of this folder"
    typed_words = [PROGRAM, *read_typed_line(ctx)]
    size = len(ctx.command_path.split())
    way = Suggestion(shlex.join([*typed_words[:size], file, *typed_words[size:]]), remark)
    for problem in problems:
        offers = file and not is_described and problem.code == "source-missing"
        yield dataclasses.replace(problem, suggestions=(way, *problem.suggestions)) if offers else problem


class _Trials:
    """The trials of one line of a job command."""

    def __init__(self, command: Any, ctx: Any) -> None:
        self._command, self._parent, self._name = command, ctx.parent, ctx.info_name
        self._head = ctx.command_path.split()[1:]
        self._words = read_typed_line(ctx)
        self._options = read_line_options(command)
        self._count = 0

    def try_ways(self, problem: Problem) -> Problem:
        """Return a problem with the suggestions that work or cannot be tried, and perhaps one that brings another."""
        if problem.stage > Stage.CHECK:
            changing = [way for way in problem.suggestions if not self._repeats_job(way, problem)]
            accepted = tuple(filter(None, (self._make_acceptable(way, problem) for way in changing)))
            return problem if accepted == problem.suggestions else dataclasses.replace(problem, suggestions=accepted)
        if problem.severity != "error":
            return problem
        tried_ways = [(way, self._find_problems(way, problem)) for way in problem.suggestions]
        has_working = any(new_problems == [] for _, new_problems in tried_ways)
        ways = list[Suggestion]()
        for way, new_problems in tried_ways:
            if not new_problems:
                ways.append(way)
            elif not has_working and new_problems[0] is not problem:
                joined_way = self._add_next_way(way, new_problems[0], problem)
                joined_way = joined_way or self._leave_out_elsewhere(way, new_problems, problem)
                ways.append(
                    joined_way or way._replace(remark=f"{way.remark}; but {new_problems[0].title}".removeprefix("; "))
                )
                has_working = True
        return problem if tuple(ways) == problem.suggestions else dataclasses.replace(problem, suggestions=tuple(ways))

    def _add_next_way(self, way: Suggestion, next_problem: Problem, problem: Problem) -> Suggestion | None:
        """Return a suggestion together with one of the problem that it brings, if no other problem is left.

        Only options of the trainer are put together.
        """
        for next_way in next_problem.suggestions:
            joined_way = way._replace(text=f"{way.text} {next_way.text}")
            is_plain = all(TRAINER_OPTION.fullmatch(text) for text in (way.text, next_way.text))
            if is_plain and not next_way.replaces and self._find_problems(joined_way, problem) == []:
                return joined_way
        return None

    def _make_acceptable(self, way: Suggestion, problem: Problem) -> Suggestion | None:
        """Return a suggestion for a problem that no pure check finds, if these accept its line, else without the
        options that they refuse in it: those of another platform. None if they refuse more.
        """
        flags = [error.where for error in self._find_new_errors(way, problem)]
        if not flags:
            return way
        if not {*flags} <= {*self._list_typed_flags()}:
            return None
        shorter = _leave_out(way, flags)
        return None if self._find_new_errors(shorter, problem) else shorter

    def _find_new_errors(self, way: Suggestion, problem: Problem) -> list[Problem]:
        """Return the errors that a suggestion brings, but for values that may be found where they are asked for."""
        words = self._apply(way, problem)
        if words is None:
            return []
        self._count += 1
        errors = self._select_new(self._find_errors(words[len(self._head) :]))
        return [error for error in errors if error.code != "value-missing"]

    def _leave_out_elsewhere(self, way: Suggestion, after: Sequence[Problem], problem: Problem) -> Suggestion | None:
        """Return a suggestion without the options that it makes those of another platform, if that line works."""
        flags = [other.where for other in after]
        if any(other.code != "option-elsewhere" for other in after) or not {*flags} <= {*self._list_typed_flags()}:
            return None
        shorter = _leave_out(way, flags)
        return shorter if self._find_problems(shorter, problem) == [] else None

    def _list_typed_flags(self) -> list[str]:
        return [option.words[0].partition("=")[0] for option in split_line(self._words, self._options) if option.name]

    def _find_problems(self, way: Suggestion, problem: Problem) -> list[Problem] | None:
        """Return the new errors of the line that a suggestion makes, or only the problem if it is still there.

        None if it is not tried: something is to be chosen, it is about another command or a file, or no trial finds the
        problem.
        """
        words = self._apply(way, problem)
        if words is None or _identify(problem) not in self._errors_before:
            return None
        self._count += 1
        errors = self._find_errors(words[len(self._head) :])
        counts_after = Counter(map(_identify, errors))
        if counts_after[_identify(problem)] >= self._errors_before[_identify(problem)]:
            return [problem] if problem.where.startswith(ON_THE_LINE) else None
        changed_words = {*words}.symmetric_difference(self._words)
        new_errors = self._select_new(errors)
        return [error for error in new_errors if error.where in changed_words or _is_of_trial(error, problem)]

    def _apply(self, way: Suggestion, problem: Problem) -> list[str] | None:
        """Return the line that a suggestion makes; None if it is not of this command, or not to be tried."""
        words = edit_line(self._words, problem, way, self._options)
        is_of_command = words is not None and words[: len(self._head)] == self._head
        return words if is_of_command and self._count < MAX_TRIALS else None

    @functools.cached_property
    def _errors_before(self) -> Counter[tuple[str, str, str]]:
        """How often each error is in the line as it was typed."""
        return Counter(map(_identify, self._find_errors(self._words[len(self._head) :])))

    def _select_new(self, errors: Sequence[Problem]) -> list[Problem]:
        """Return the errors that the line has more often than it had as it was typed."""
        counts_after = Counter(map(_identify, errors))
        return [error for error in errors if counts_after[_identify(error)] > self._errors_before[_identify(error)]]

    def _repeats_job(self, way: Suggestion, problem: Problem) -> bool:
        """Return whether a suggestion says what the job has already, from wherever."""
        flags = read_edit(way, self._options).flags
        size = len(self._head)
        words = self._apply(way, problem)
        if not flags or words is None:
            return False
        self._count += 1
        resolution, other_resolution = (self._resolve(line_words[size:]) for line_words in (self._words, words))
        if resolution is None or other_resolution is None:
            return False
        settings: type = type(resolution.settings)
        parameters = (*get_parameters(resolution.workload.parameters), *get_parameters(settings))
        is_of_job = {*flags} <= {parameter.flag for parameter in parameters}  # `--new` is not
        return is_of_job and (resolution.job, resolution.settings) == (other_resolution.job, other_resolution.settings)

    def _find_errors(self, arguments: Sequence[str]) -> list[Problem]:
        """Return the errors that the pure checks find in a line, but for placeholders of values that a sweep varies."""
        try:
            errors = select_errors(self._check(arguments)[1])
        except Rejected as rejected:
            errors = select_errors(rejected.problems)
        except UsageError as error:
            errors = [explain_parse_error(error)]
        return [error for error in errors if not (self._command.varies_values and PLACEHOLDER.search(error.title))]

    def _resolve(self, arguments: Sequence[str]) -> Resolution | None:
        """Return the job of a line; None if it has errors."""
        try:
            resolution, problems = self._check(arguments)
        except (Rejected, UsageError):
            return None
        return None if select_errors(problems) else resolution

    def _check(self, arguments: Sequence[str]) -> tuple[Resolution, list[Problem]]:
        """Return the job of a line, with what the pure checks find. Raise Rejected, UsageError."""
        context = self._command.make_context(self._name, [*arguments], parent=self._parent)
        command = context.command
        plugins = get_plugins(context)
        values = dict(context.params)
        request, workload, platform, problems = command.read_request(context, command.choice, values)
        request = dataclasses.replace(request, terraform=None, lookups=None)
        assets_only = bool(values.get("assets_only"))
        return check_request(request, workload, platform, plugins, plugins.source_kinds(), problems, assets_only)


def _leave_out(way: Suggestion, flags: Sequence[str]) -> Suggestion:
    """Return a suggestion that also leaves out these options."""
    remark = f"{way.remark}; without {', '.join(flags)}".removeprefix("; ")
    return way._replace(remark=remark, replaces=" ".join([*way.replaces.split(), *flags]))


def _identify(problem: Problem) -> tuple[str, str, str]:
    return problem.message, problem.where, problem.title


def _is_of_trial(trial_problem: Problem, problem: Problem) -> bool:
    """Return whether a new error counts that is not about an option of the suggestion.

    One of a later stage may have been hidden by the problem, and a missing value may be found where it is asked for.
    """
    return trial_problem.stage <= problem.stage and trial_problem.code != "value-missing"


def read_line_options(command: Any) -> LineOptions:
    """Return what is known about the options of a command's line."""
    names_by_spelling = dict[str, str]()
    switches = list[str]()
    for param in command.params:
        if param.param_type_name == "option":
            spellings = [*param.opts, *param.secondary_opts]
            names_by_spelling |= dict.fromkeys(spellings, max(param.opts, key=len))
            switches += spellings if param.is_flag else []
    return LineOptions(names_by_spelling, frozenset(switches))
