"""Suggestions for commands that repeat a job, or run those of a file: `--set KEY=VALUE` in place of a job's option."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping

from robotrain.config.values import SET_FLAG
from robotrain.corrected_line import DASHES
from robotrain.errors import LEAVE_OUT, Problem, Suggestion, suggest_leaving_out

STEP = re.compile(r"step (\S+?)(?:: .*)?", re.DOTALL)
"""Where a problem of a pipeline's step is."""


def express_as_overrides(problem: Problem, keys: Mapping[str, str], is_pipeline: bool) -> Problem:
    """Return a problem whose suggestions change values of a job by `--set`.

    :param keys: the key of each option that the command does not have, by the spellings of the option.
    :param is_pipeline: whether keys begin with the name of a step.
    """
    found = STEP.fullmatch(problem.where)
    if bool(found) != is_pipeline or not problem.suggestions:
        return problem
    prefix = f"{found[1]}." if found else ""
    ways = tuple(_express_suggestion(way, keys, prefix) for way in problem.suggestions)
    return dataclasses.replace(problem, suggestions=ways)


def _express_suggestion(way: Suggestion, keys: Mapping[str, str], prefix: str) -> Suggestion:
    replaced = (f"{SET_FLAG}={prefix}{keys[name]}" if name in keys else name for name in way.replaces.split())
    if way.text.startswith(LEAVE_OUT) and way.replaces and all(name in keys for name in way.replaces.split()):
        given = (f"{SET_FLAG} {prefix}{keys[name]}" for name in way.replaces.split())
        return suggest_leaving_out(*given, remark=way.remark)._replace(replaces=" ".join(replaced))
    try:
        words = shlex.split(way.text)
    except ValueError:
        return way
    options: list[list[str]] = []
    for word in words:
        if word == DASHES:
            return way
        if word.startswith("--"):
            options.append(word.split("=", 1))
        elif options and len(options[-1]) == 1:
            options[-1].append(word)
        else:
            return way
    if not options or not all(option[0] in keys for option in options):
        return way
    changes = (f"{prefix}{keys[flag]}={value[0] if value else 'true'}" for flag, *value in options)
    text = " ".join(f"{SET_FLAG} {shlex.quote(change)}" for change in changes)
    return way._replace(text=text, replaces=" ".join(replaced))
