"""The line that renders the job of a refused submit, in place of the `robotrain render JOB.yaml` of a suggestion."""

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from robotrain.cli.command_factory import load_command, read_typed_line, split_at_dashes
from robotrain.cli.suggestion_trials import read_line_options
from robotrain.errors import Problem, Suggestion
from robotrain.line_edits import DASHES, PROGRAM, LineOptions, split_line
from robotrain.redaction import can_repeat

JOB_PLACEHOLDER = "JOB.yaml"
RENDER_LINE = f"{PROGRAM} render {JOB_PLACEHOLDER}"
"""How a suggestion begins that renders a job which it does not know."""
SUBMIT, RENDER = "submit", "render"
SILENT_CODES = ("submit-command-missing", "platform-signed-out", "platform-away", "platform-untrusted")
"""The codes of problems for which a platform cannot be asked from this machine, while its plans can be rendered."""


def complete_render_lines(command: Any, ctx: Any, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems of a job command with the job of its line in each suggestion that renders one; as they are, if no
    line of `render` has that job, or if the line may hold a secret.
    """
    problems = tuple(problems)
    if command.name != SUBMIT or ctx.params.get("plan") is not None:
        return problems
    problems = _add_render_line(problems)
    if not any(_renders_job(way) for problem in problems for way in problem.suggestions):
        return problems
    render_flags = load_command(RENDER).build_for(command.choice, ctx.parent).options.flags
    job_words = _select_job_words(read_typed_line(ctx)[1:], read_line_options(command), render_flags)
    if not can_repeat(shlex.join(job_words)):
        return problems
    completed_problems = list[Problem]()
    for problem in problems:
        ways = tuple(_complete(way, job_words) for way in problem.suggestions)
        completed_problems.append(replace(problem, suggestions=ways))
    return tuple(completed_problems)


def _add_render_line(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return problems with a way to render the job in the first that says that its platform cannot be asked."""
    silent_problems = [problem for problem in problems if problem.code in SILENT_CODES]
    if not silent_problems or any(map(_renders_job, silent_problems[0].suggestions)):
        return tuple(problems)
    way = Suggestion(f"{RENDER_LINE} --to FOLDER", "only writes the plan; no service is asked")
    completed_problem = replace(silent_problems[0], suggestions=(*silent_problems[0].suggestions, way))
    return tuple(completed_problem if problem is silent_problems[0] else problem for problem in problems)


def _renders_job(way: Suggestion) -> bool:
    return way.text.startswith(RENDER_LINE)


def _complete(way: Suggestion, job_words: Sequence[str]) -> Suggestion:
    if not _renders_job(way):
        return way
    own_words = shlex.split(way.text.removeprefix(RENDER_LINE))
    before, after = split_at_dashes([*job_words])
    words = [PROGRAM, RENDER, *before, *own_words, *([] if after is None else [DASHES, *after])]
    return way._replace(text=shlex.join(words))


def _select_job_words(words: Sequence[str], line_options: LineOptions, render_flags: Collection[str]) -> list[str]:
    """Return the words without the options that `render` does not have: `--wait`, `--dry-run`."""
    before, after = split_at_dashes([*words])
    job_options = [
        option
        for option in split_line(before, line_options)
        if not option.name or option.words[0].partition("=")[0] in render_flags
    ]
    kept_words = chain.from_iterable(option.words for option in job_options)
    return [*kept_words, *([] if after is None else [DASHES, *after])]
