"""Suggestions for commands that repeat a job, or run those of a file: `--set KEY=VALUE` in place of a job's option."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping

from robotrain.config.values import SET_FLAG
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.line_edits import read_edit

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
    edit = read_edit(way)
    replaced = " ".join(f"{SET_FLAG}={prefix}{keys[name]}" if name in keys else name for name in edit.left_out)
    if edit.is_removal and all(name in keys for name in edit.left_out):
        places = (f"{SET_FLAG} {prefix}{keys[name]}" for name in edit.left_out)
        return suggest_leaving_out(*places, remark=way.remark)._replace(replaces=replaced)
    if not edit.options or len(edit.flags) < len(edit.options) or not all(flag in keys for flag in edit.flags):
        return way
    given = zip(edit.flags, edit.options, strict=True)
    changes = (shlex.quote(f"{prefix}{keys[flag]}={one.value or 'true'}") for flag, one in given)
    return way._replace(text=" ".join(f"{SET_FLAG} {change}" for change in changes), replaces=replaced)
