"""The change of a failed run's job that the reason of the failure names, as words for `resubmit` and `resume`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from robotrain_runtime.contract import failure_causes
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.errors import Problem, Rejected
from robotrain.line_edits import DASHES, edit_line
from robotrain.plugins import manager
from robotrain.plugins.failures import PluginError
from robotrain.redaction import holds_secret

if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Note

    from robotrain.model.job import Job
    from robotrain.model.progress import Progress
    from robotrain.model.run import RunRecord, Status
    from robotrain.model.workload import Workload

HINT = r"\(([^()]*)\)$"
"""The remedy at the end of a sentence; `; ` is between several."""
VALUE = "VALUE"
"""Stands for what the user has to choose."""
OPTION = r"(?<![\w.-])--[A-Za-z][\w.-]*"

OPTION_OF_PROGRAM = re.compile(rf"-- … ({OPTION}) (\S+)")
"""A remedy that gives an option of the run's own program another value."""


def find_change(record: RunRecord, status: Status, progress: Progress) -> NamedChange | None:
    """Return the change that the reason of a failure names, or the errors that it sums up."""
    from robotrain_runtime.contract.event import Note  # costs start-up, and only failed runs ask

    reason = progress.outcome.reason if progress.outcome else status.reason
    errors = [note for note in progress.notes if note.level == "error"]
    named_errors = [note for note in errors if note.text.partition(".")[0] in reason or reason in note.text]
    change = find_named_change(record, named_errors or [Note(level="error", text=reason)]) if reason else None
    if not change and progress.outcome and progress.outcome.cause:
        change = _find_helping_change(record, progress.outcome.cause)
    return change if change and not holds_secret(change.words) else None


def find_keeping_change(record: RunRecord, progress: Progress) -> str:
    """Return the words that keep what a run left elsewhere, as a warning says; empty for none."""
    warnings = [note for note in progress.notes if note.level == "warning"]
    if progress.checkpoint or not any(note.ways or re.search(HINT, note.text) for note in warnings):
        return ""
    parameters = _find_parameters(record)
    return next((words for note in warnings if (words := _find_remedy(record, note, parameters))), "")


def find_unkept_change(record: RunRecord, progress: Progress) -> str:
    """Return the words that keep what the user's own program saved without a checkpoint of the run; empty for none."""
    return find_keeping_change(record, progress) if _runs_own_command(record) else ""


class NamedChange(NamedTuple):
    """Words that change a job."""

    words: str
    replaced: str = ""
    """What `VALUE` in the words stands in place of; empty if it is unknown."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be chosen."""
        return VALUE not in self.words.replace("=", " ").split()


def find_named_change(record: RunRecord, errors: Sequence[Note]) -> NamedChange | None:
    """Return the change that the errors of a failure name: the remedies of them all, else what the rules of the
    workload say of the options that they name, else these options; None if they name none that the job has.
    """
    parameters = _find_parameters(record)
    changes = [change for note in errors if (change := _find_remedy(record, note, parameters))]
    if changes:
        sets = [words for words in dict.fromkeys(changes) if not words.startswith("-- ")]
        options = [words.removeprefix("-- ") for words in dict.fromkeys(changes) if words.startswith("-- ")]
        return NamedChange(" ".join([*sets, *["--"] * bool(options), *options]))
    if absent := next((words for note in errors for words in _list_absent(record, note, parameters)), ""):
        return NamedChange(absent)
    if _runs_own_command(record):  # the options that it names are those of the user's program
        return None
    error_text = " ".join(note.text for note in errors)
    if by_rules := _find_rule_change(record, error_text, parameters):
        return by_rules
    options = [name for name in record.values if name.startswith("-") or "." in name]
    if named_options := [name for name in options if is_named(name, error_text)]:
        current_values = " and ".join(record.values[name][0] for name in named_options)
        return NamedChange(
            " ".join(["--", *(f"{shlex.quote(name)}={VALUE}" for name in named_options)]), current_values
        )
    for flag in re.findall(OPTION, error_text):
        if parameter := parameters.get(flag):
            return NamedChange(f"--set {parameter.name}={VALUE}", _get_current(record, parameter))
    return None


def _find_helping_change(record: RunRecord, cause: str) -> NamedChange | None:
    """Return the change of the first option of the job's that helps with a known cause."""
    parameters = _find_parameters(record)
    flags = (flag for flag in failure_causes.list_flags(cause) if flag in parameters)
    parameter = next((parameters[flag] for flag in flags), None)
    return NamedChange(f"--set {parameter.name}={VALUE}", _get_current(record, parameter)) if parameter else None


def _runs_own_command(record: RunRecord) -> bool:
    """Return whether the arguments after `--` are a whole command of the user's."""
    try:
        return bool(manager.get_plugins().workload(record.workload).own_command)
    except PluginError:
        return False


def _find_rule_change(record: RunRecord, reason: str, parameters: dict[str, Parameter]) -> NamedChange | None:
    """Return the change by the workload's rules about the options after `--` that a reason names; None if they have
    none to type, or if the plan of the run is not kept.
    """
    from robotrain.store import plans  # costs start-up

    try:
        job = plans.read_stored_plan(record.run).plan.job
        workload = manager.get_plugins().workload(job.workload)
        for problem in _find_problems(job, workload, reason):
            if change := _apply_suggestion(record.run, job, workload, problem, parameters):
                return change
    except Rejected:  # the view of a run shows what else is known
        return None
    return None


def _find_problems(job: Job, workload: Workload, reason: str) -> Iterator[Problem]:
    """Yield the problems of a job that are about options after `--` that a reason names."""
    from robotrain.config.trainer_args import (  # costs start-up, and only failed runs ask
        find_refused_options,
        list_option_names,
    )

    named_options = [name for name in list_option_names(job.trainer_args, workload) if is_named(name, reason)]
    if named_options:
        yield from find_refused_options(workload, job, reason)
        yield from (
            problem for problem in workload.check(job) if any(is_named(name, problem.given) for name in named_options)
        )


def is_named(option: str, text: str) -> bool:
    """Return whether a text has an option, and not a longer one that begins so."""
    return re.search(rf"(?<![\w.-]){re.escape(option)}(?!\.?[\w-])", text) is not None


def _apply_suggestion(
    run: str, job: Job, workload: Workload, problem: Problem, parameters: dict[str, Parameter]
) -> NamedChange | None:
    """Return the first suggestion of a problem as a change of the job; None if it needs a choice."""
    from robotrain.config.trainer_args import (  # costs start-up, and only failed runs ask
        compare_options,
        list_option_names,
    )

    line_words = ["resubmit", run, DASHES, *job.trainer_args]
    corrected_words = edit_line(line_words, problem, problem.suggestions[0]) if problem.suggestions else None
    if corrected_words is None or corrected_words[:2] != line_words[:2]:
        return None
    end = corrected_words.index(DASHES) if DASHES in corrected_words else len(corrected_words)
    own_options, new_arguments = corrected_words[2:end], corrected_words[end + 1 :]
    words = []
    for flag, value in zip(own_options[::2], own_options[1::2], strict=True):
        words.append(f"--set {parameters[flag].name}={shlex.quote(value)}")
    removed_arguments, added_arguments = compare_options(job.trainer_args, new_arguments, workload)
    if list_option_names(removed_arguments, workload) - list_option_names(new_arguments, workload):
        words.append(f"--set {shlex.quote(f'trainer_args={json.dumps(new_arguments)}')}")
    elif added_arguments:
        words += [DASHES, *map(shlex.quote, added_arguments)]
    return NamedChange(" ".join(words)) if words else None


def _find_parameters(record: RunRecord) -> dict[str, Parameter]:
    """Return the parameters and settings of a run's job by their options; none of plugins that are gone."""
    plugins = manager.get_plugins()
    try:
        declared_types = (plugins.platform_of(record).settings, plugins.workload(record.workload).parameters)
    except PluginError:
        return {}
    return {
        flag: parameter
        for declared_type in declared_types
        for parameter in get_parameters(declared_type)
        for flag in parameter.flags
    }


def _find_remedy(record: RunRecord, note: Note, parameters: dict[str, Parameter]) -> str:
    """Return the first remedy of an error that changes the job; empty if there is none."""
    hint = re.search(HINT, note.text.rstrip("."))
    remedies = [way[0] for way in note.ways] or (hint[1].split("; ") if hint else [])
    return next((words for remedy in remedies for words in _parse_remedy(record, remedy, parameters)), "")


def _parse_remedy(record: RunRecord, remedy: str, parameters: dict[str, Parameter]) -> Iterator[str]:
    if option_match := re.match(r"(--set|--) (-{0,2}[A-Za-z][\w.-]*)=(\S+)", remedy):
        yield f"{option_match[1]} {option_match[2]}={shlex.quote(option_match[3])}"
        return
    if option_match := OPTION_OF_PROGRAM.fullmatch(remedy):
        yield f"{DASHES} {option_match[1]} {shlex.quote(option_match[2])}"
        return
    match = re.match(rf"({OPTION})(?:[ =]('[^']*'|\S+))?", remedy)
    if not match or not (parameter := parameters.get(match[1])):
        return
    given_value = (match[2] or VALUE).rstrip(",;:.").strip("'")
    value = "true" if parameter.is_switch else given_value
    if not re.fullmatch("[A-Z_]+", value) and value != _get_current(record, parameter):
        yield f"--set {parameter.name}={shlex.quote(value)}"


def _list_absent(record: RunRecord, note: Note, parameters: dict[str, Parameter]) -> Iterator[str]:
    """Yield the options that an error names, with a value to choose, and that the run did not have."""
    for remedy, *_ in note.ways:
        match = re.fullmatch(rf"({OPTION}) [A-Z_]+", remedy)
        parameter = parameters.get(match[1]) if match else None
        if parameter and not _get_current(record, parameter):
            yield f"--set {parameter.name}={VALUE}"


def _get_current(record: RunRecord, parameter: Parameter) -> str:
    """Return the value that the run had, as a text; empty for none."""
    from robotrain.store.run_values import format_setting  # costs start-up

    recorded_value = record.values.get(parameter.name)
    value = recorded_value[0] if recorded_value else record.settings.get(parameter.name, parameter.default)
    return format_setting(value)
