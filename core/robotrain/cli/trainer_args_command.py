"""A command that takes options for the trainer after `--`, and changes values of a job by `--set`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robotrain.cli.arguments import AFTER_DASHES_KEY
from robotrain.cli.command_factory import HELP_OPTIONS, OwnCommand, get_plugins, read_typed_line, split_at_dashes
from robotrain.cli.output import express_problems
from robotrain.config.values import SET_FLAG
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any, suggest_leaving_out

if TYPE_CHECKING:
    from robotrain.cli.recorded_program import RecordedProgram
    from robotrain.model.run import RunRecord

MAX_LISTED_OPTIONS = 12


class TrainerArgsCommand(OwnCommand):
    """A command that takes options for the trainer after `--`, which it finds under AFTER_DASHES_KEY."""

    key_prefix = ""
    """What stands before a key of `--set`, in options to type."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the `--`."""
        args, ctx.meta[AFTER_DASHES_KEY] = split_at_dashes(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Its problems suggest `--set` for values that have an option in other commands."""
        if (ctx.meta[AFTER_DASHES_KEY] or ("",))[0] == "--":
            from robotrain.cli.program_line import make_repeated_dashes_problem

            raise_if_any(filter(None, [make_repeated_dashes_problem(read_typed_line(ctx))]))
        own_spellings = {spelling for param in self.params for spelling in (*param.opts, *param.secondary_opts)}

        @functools.cache
        def list_keys() -> dict[str, str]:
            return {flag: key for flag, key in _list_keys(ctx).items() if flag not in own_spellings}

        def express(problem: Problem) -> Problem:
            from robotrain.line_edits import read_edit  # costs start-up

            edits = map(read_edit, problem.suggestions)
            if "--set" not in own_spellings or not any(edit.flags or edit.is_removal for edit in edits):
                return problem
            return express_as_overrides(problem, list_keys(), is_pipeline=bool(self.key_prefix))

        try:
            with express_problems(express):
                return super().invoke(ctx)
        except Rejected as rejected:
            from robotrain.line_edits import complete_suggestions  # costs start-up

            problems = complete_suggestions(rejected.problems, ctx.meta[AFTER_DASHES_KEY] or ())
            rejected.problems = tuple(map(express, problems))
            raise

    def suggest_changes(self, flag: str, near: tuple[Suggestion, ...], ctx: Any) -> tuple[Suggestion, ...]:
        """Return how a value is changed that has an option of its own in other commands.

        :param near: the options of this command that are similar to `flag`, better than a similar one of others.
        """
        from robotrain.line_edits import repeat_after_dashes  # costs start-up

        after_words = ctx.meta[AFTER_DASHES_KEY] or ()
        return tuple(repeat_after_dashes(way, after_words) for way in self._find_changes(flag, near, ctx))

    def _find_changes(self, flag: str, near: tuple[Suggestion, ...], ctx: Any) -> tuple[Suggestion, ...]:
        from robotrain.cli.misspelt_option import find_misspelt_option
        from robotrain.cli.parse_errors import read_typed_value
        from robotrain.config.command_options import format_option

        typed_value = read_typed_value(flag, ctx) or "VALUE"
        if "." in flag:
            return (Suggestion(f"-- {flag}={typed_value}", replaces=flag),)
        keys = _list_keys(ctx, None if self.key_prefix else _find_record(flag, ctx))
        typed = flag.replace("_", "-")
        if self.key_prefix and not flag.startswith("--"):
            return near
        program = self._find_program(flag, ctx)
        if program:
            keys = keys | {f"--{name.replace('_', '-')}": name for name in program.params}
        if program and (option := program.find_option(flag, exact=True)):
            return (Suggestion(format_option(option, typed_value), replaces=flag),)
        if not near and typed not in keys and not self.key_prefix:  # a step may be of any workload: too many are near
            typed = find_misspelt_option(typed, keys) or typed
        if typed not in keys:
            option = program.find_option(flag) if program and not near else ""
            return (Suggestion(format_option(option, typed_value), replaces=flag),) if option else near
        return (Suggestion(f"--set {self.key_prefix}{keys[typed]}={typed_value}", replaces=flag),)

    def describe_other_options(self, flag: str, ctx: Any) -> str:
        """Return a sentence with the options of the program of the run that is typed; empty if it has none."""
        program = self._find_program(flag, ctx)
        if program is None:
            return ""
        options = [option for option in program.options if option not in HELP_OPTIONS]
        return f"{program.name} has {', '.join(options[:MAX_LISTED_OPTIONS])}, after `--`." if options else ""

    def _find_program(self, flag: str, ctx: Any) -> RecordedProgram | None:
        """Return the program of the run that is typed, or of the newest; None if it has none of its user's own.

        :param flag: an option that the command does not have, whose value is no run.
        """
        from robotrain.cli.recorded_program import find_program

        if self.key_prefix:
            return None
        return next(filter(None, map(find_program, _list_run_words(flag, ctx))), None)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return [*super().collect_usage_pieces(ctx), "[-- OPTIONS...]"]


def _list_keys(ctx: Any, record: RunRecord | None = None) -> dict[str, str]:
    """Return the keys of `--set` by the options of other commands.

    :param record: of the run whose workload and platform alone count; None for those of every run.
    """
    from robotrain.config.names import list_flag_keys

    plugins = get_plugins(ctx)
    platforms, workloads = plugins.platforms(), plugins.workloads()
    if record and record.platform in platforms and record.workload in workloads:
        platforms = {record.platform: platforms[record.platform]}
        workloads = {record.workload: workloads[record.workload]}
    return dict(list_flag_keys(workloads.values(), platforms.values(), plugins.source_kinds()))


def _list_run_words(flag: str, ctx: Any) -> list[str]:
    """Return the words that may name the run, without the value of an unknown option; an empty text for the newest."""
    from robotrain.cli.parse_errors import read_typed_value

    typed_value = read_typed_value(flag, ctx)
    words = [word for word in read_typed_line(ctx)[1:] if not word.startswith("-") and word != typed_value]
    return words or [""]


def _find_record(flag: str, ctx: Any) -> RunRecord | None:
    """Return the record of the run that is typed, or of the newest where none is; None if there is none."""
    from robotrain.store import name_index, records

    for word in _list_run_words(flag, ctx):
        with contextlib.suppress(Rejected):
            return records.read_record(name_index.find_run(word))
    return None


STEP = re.compile(r"step (\S+?)(?:: .*)?", re.DOTALL)
"""Where a problem of a pipeline's step is."""


def express_as_overrides(problem: Problem, keys: Mapping[str, str], is_pipeline: bool) -> Problem:
    """Return a problem whose suggestions change values of a job by `--set`.

    :param keys: the key of each option that the command does not have, by the spellings of the option.
    :param is_pipeline: whether keys begin with the name of a step.
    """
    from robotrain.line_edits import TRAINER_OPTION, is_about_trainer  # costs start-up

    match = STEP.fullmatch(problem.where)
    if bool(match) != is_pipeline or not problem.suggestions:
        return problem
    prefix = f"{match[1]}." if match else ""
    of_trainer = TRAINER_OPTION if is_about_trainer(problem) else None
    ways = tuple(
        way if of_trainer and of_trainer.fullmatch(way.text) else _express_suggestion(way, keys, prefix)
        for way in problem.suggestions
    )
    return dataclasses.replace(problem, suggestions=ways)


def _express_suggestion(way: Suggestion, keys: Mapping[str, str], prefix: str) -> Suggestion:
    from robotrain.line_edits import read_edit  # costs start-up

    edit = read_edit(way)
    keys = {**keys, **{f"--no-{flag[2:]}": key for flag, key in keys.items() if flag.startswith("--")}, **keys}
    replaced_options = " ".join(f"{SET_FLAG}={prefix}{keys[name]}" if name in keys else name for name in edit.left_out)
    if edit.is_removal and all(name in keys for name in edit.left_out):
        set_options = (f"{SET_FLAG} {prefix}{keys[name]}" for name in edit.left_out)
        return suggest_leaving_out(*set_options, remark=way.remark)._replace(replaces=replaced_options)
    if not edit.options or len(edit.flags) < len(edit.options) or not any(flag in keys for flag in edit.flags):
        return way
    option_texts = []
    for flag, option in zip(edit.flags, edit.options, strict=True):
        value_text = option.value or str(not flag.startswith("--no-")).lower()
        words = [SET_FLAG, f"{prefix}{keys[flag]}={value_text}"] if flag in keys else option.words
        option_texts.append(shlex.join(words))
    return way._replace(text=" ".join(option_texts), replaces=replaced_options)
