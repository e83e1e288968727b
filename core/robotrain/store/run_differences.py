"""What differs between runs: their sources, settings, and the options of their trainers, as rows.

`diff`, `report`, the list of runs and the preview of `resubmit` print these rows. A run's values come from its stored
plan, from what its record keeps of it, or from a job that is about to be sent.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobSource

from robotrain.model.code_commit_tags import format_commit
from robotrain.model.job import TRAINER_ARGS
from robotrain.model.plan import RenderedPlan
from robotrain.model.run import RunRecord
from robotrain.store import name_index
from robotrain.store.run_values import (
    IDENTITIES,
    collect_chosen,
    format_default,
    format_value,
    is_chosen_row,
    join_trainer_args,
    shorten_texts,
)

PIN_LENGTH, RECORDED_PIN_LENGTH = 20, 12
"""Characters of a commit or digest (`folder:…`) that tell two apart, and those that a record keeps."""

FOLDER_PIN = re.compile(r" @ (folder:\w+)(?: \(|$)")
"""The digest of a folder's files in the text of a source."""
PLACEHOLDER = re.compile(r"\{(\w+)\}")
SCRIPT_SUFFIXES = (".py", ".sh")
MODULE_OPTION = "-m"
"""The option of Python, before the module that it runs."""


class RunValue(NamedTuple):
    """A value of a run, as text."""

    text: str
    default: str = ""
    """What it is where nobody chooses it, as far as that is known."""
    is_chosen: bool = True
    """Whether somebody chose it: one that a run does not have at all differs only then."""
    is_source: bool = False


MAX_RECORDED = 500
"""Values that the record of a pipeline keeps: of a larger one, only the plan has them."""
STEP_PREFIX = re.compile(r"^[a-z][\w-]*[ .]")
"""The step in the name of a value; an option of the trainer follows a space."""
RunValues = Mapping[str, RunValue]
"""The values of a run by name. Those of a step are `STEP.batch_size`; an option of the trainer is `--policy.dim_model`,
that of a step `STEP --policy.dim_model`.
"""


NOT_SET = "not set"
"""What a value is called that a run does not have."""


class Difference(NamedTuple):
    """A value that differs between runs."""

    name: str
    texts: tuple[str | None, ...]
    """One for each run; None for a run without it."""
    is_source: bool = False

    @property
    def shown_texts(self) -> tuple[str | None, ...]:
        """The texts, with `set` for an option that has no value."""
        return tuple("set" if text == "" and is_option(self.name) else text for text in self.texts)

    @property
    def cells(self) -> list[str]:
        """The texts as they stand in a table or a sentence, of a run without the value too."""
        return [text or NOT_SET for text in self.shown_texts]


def collect_stored_values(
    rows: Sequence[Mapping[str, Any]], sources: Sequence[JobSource] = (), *, is_sweep: bool = False
) -> dict[str, RunValue]:
    """Return all values of a run, the defaults too.

    :param rows: the values of its plan, with those of each step or trial.
    :param sources: what the run reads, with pins.
    :param is_sweep: whether the steps are trials of one job: then each value stands once, with all that trials have.
    """
    text_by_role = describe_sources(sources)
    roles = text_by_role.keys()
    value_by_name = {role: RunValue(text, is_source=True) for role, text in text_by_role.items()}
    for name, value in _iterate_rows(rows):
        if name.rpartition(".")[2] not in roles:
            value_by_name[name] = value
    return _join_trials(value_by_name) if is_sweep else value_by_name


def fill_placeholders(run_values: RunValues) -> dict[str, RunValue]:
    """Return values with each `{NAME}` of a command line filled in, and without those that stand there.

    Sources stay: they have rows of their own.
    """
    placeholders = {name for value in run_values.values() for name in PLACEHOLDER.findall(value.text)}
    placed_names = {name for name in placeholders & run_values.keys() if not run_values[name].is_source}

    def fill(match: re.Match[str]) -> str:
        return run_values[match[1]].text if match[1] in placed_names else match[0]

    return {
        name: value._replace(text=PLACEHOLDER.sub(fill, value.text))
        for name, value in run_values.items()
        if name not in placed_names
    }


def collect_values(rendered_plan: RenderedPlan) -> dict[str, tuple[str, ...]]:
    """Return what the record of a run keeps: each value that is not its default, with that default, as texts."""
    rows, sources = rendered_plan.values, rendered_plan.plan.job.sources
    if rendered_plan.steps:
        stored_values = collect_stored_values(rows, is_sweep=rendered_plan.plan.job.profile.outputs.is_sweep)
        chosen_values = {
            name: value
            for name, value in stored_values.items()
            if value.is_chosen and value.text != value.default and name.rpartition(".")[2] not in IDENTITIES
        }
        recorded_values = chosen_values if len(chosen_values) <= MAX_RECORDED else {}
        return {name: (value.text, value.default) for name, value in recorded_values.items()}
    source_values = _join_sources(source for source in sources if not source.implied)
    texts_by_name = source_values | collect_chosen(rows, sources)
    implied = _join_sources(source for source in sources if source.implied and source.role not in texts_by_name)
    return texts_by_name | implied | {name: (text, "") for name, text in join_trainer_args(rows).items()}


def _join_sources(sources: Iterable[JobSource]) -> dict[str, tuple[str, ...]]:
    texts_by_role: dict[str, tuple[str, ...]] = {}
    for source in sources:
        source_text = format_value(source.uri) + (f" @ {source.pin[:RECORDED_PIN_LENGTH]}" if source.pin else "")
        texts_by_role[source.role] = (", ".join([*texts_by_role.get(source.role, ())[:1], source_text]), "")
    return texts_by_role


def collect_recorded_values(recorded_texts: Mapping[str, Sequence[str]]) -> dict[str, RunValue]:
    """Return the values that the record of a run keeps: those that are not defaults, each with its default."""
    return {name: RunValue(text, default) for name, (text, default) in recorded_texts.items()}


def describe_sources(sources: Iterable[JobSource]) -> dict[str, str]:
    """Return the sources of each role as text, with pins and commits; those that the job implies are left out."""
    texts_by_role: dict[str, list[str]] = {}
    for source in sources:
        if not source.implied:
            pin = f" @ {source.pin[:PIN_LENGTH]}" if source.pin else ""
            commit = format_commit(source)
            source_text = f"{source.kind} {format_value(source.uri)}{pin}{f' ({commit})' if commit else ''}"
            texts_by_role.setdefault(source.role, []).append(source_text)
    return {role: ", ".join(source_texts) for role, source_texts in texts_by_role.items()}


def find_differences(runs: Sequence[RunValues], *, fills_defaults: bool = False) -> list[Difference]:
    """Return the values that differ: sources first, options of trainers last.

    :param runs: the values of each run; a run without any is one of which nothing is known, and does not count.
    :param fills_defaults: take the default for a value that a run lacks, as where only chosen values are known.
    """
    value_names = dict.fromkeys(name for run_values in reversed(runs) for name in run_values)
    differences = [_compare(name, runs, fills_defaults=fills_defaults) for name in value_names]
    real_differences = [difference for difference in differences if difference is not None]
    return sorted(real_differences, key=lambda difference: (not difference.is_source, is_option(difference.name)))


def is_option(name: str) -> bool:
    """Return whether the name of a value is that of an option of a trainer."""
    return name.startswith("-") or " -" in name


def _compare(name: str, runs: Sequence[RunValues], *, fills_defaults: bool) -> Difference | None:
    present_values = [run_values[name] for run_values in runs if name in run_values]
    default = present_values[0].default or None
    texts = [run_values[name].text if name in run_values else None for run_values in runs]
    if fills_defaults:
        texts = [default if text is None and run_values else text for text, run_values in zip(texts, runs, strict=True)]
    distinct_texts = {_identify(text) for text, run_values in zip(texts, runs, strict=True) if run_values}
    is_missing = None in distinct_texts
    if len(distinct_texts - {None}) > 1 or (
        is_missing and len(distinct_texts) > 1 and any(value.is_chosen for value in present_values)
    ):
        return Difference(name, tuple(texts), present_values[0].is_source)
    return None


def _identify(text: str | None) -> str | None:
    """Return what makes a value another one: of folders the digests of their files, wherever these lie."""
    contents = [FOLDER_PIN.search(source_text) for source_text in (text or "").split(", ")]
    digests = [match[1] for match in contents if match]
    return ", ".join(digests) if len(digests) == len(contents) else text


def _iterate_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, RunValue]]:
    """Yield each value of a plan with its name, the options of the trainers of all steps one by one."""
    arguments: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        step, _, name = row["name"].rpartition(".")
        if name == TRAINER_ARGS:
            arguments.setdefault(step, []).append({**row, "name": name})
            continue
        value_text = format_value(row["value"])
        is_chosen = is_chosen_row(row)
        yield row["name"], RunValue(value_text, format_default(row) if is_chosen else value_text, is_chosen)
    for step, step_rows in arguments.items():
        for option, value_text in join_trainer_args(step_rows).items():
            yield f"{step} {option}".strip(), RunValue(value_text)


def _join_trials(value_by_name: Mapping[str, RunValue]) -> dict[str, RunValue]:
    """Return the values of a sweep by their names in a trial: what several trials have differently is a list."""
    values_by_name: dict[str, list[RunValue]] = {}
    for name, value in value_by_name.items():
        own_name = STEP_PREFIX.sub("", name)
        values_by_name.setdefault(own_name, []).append(value)
    joined_values: dict[str, RunValue] = {}
    for name, trial_values in values_by_name.items():
        distinct_texts = dict.fromkeys(value.text for value in trial_values)
        is_chosen = any(value.is_chosen for value in trial_values)
        joined_values[name] = trial_values[0]._replace(text=", ".join(distinct_texts), is_chosen=is_chosen)
    return joined_values


def find_program(rendered_plan: RenderedPlan) -> str:
    """Return the program of its user's own that a job, or each trial of a sweep, runs: its script or module, or else
    how its command begins. Empty without one.
    """
    rows = rendered_plan.values
    if rendered_plan.steps:
        if not rendered_plan.plan.job.profile.outputs.is_sweep:
            return ""
        name = f"{rendered_plan.steps[0]}.{TRAINER_ARGS}"
        rows = tuple({**row, "name": TRAINER_ARGS} for row in rows if row["name"] == name)
    arguments = join_trainer_args(rows)
    name = next(iter(arguments), "")
    if not name or is_option(name):
        return ""
    words = [word for text in arguments.values() for word in text.split()]
    script = next((word for word in words if word.endswith(SCRIPT_SUFFIXES)), "")
    module = arguments.get(MODULE_OPTION, "").partition(" ")[0]
    return script or module or f"{name} {arguments[name]}".strip()


def find_changes(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> list[Difference]:
    """Return the differences between the recorded values of two runs."""
    runs = [collect_recorded_values(recorded_texts) for recorded_texts in (before, after)]
    return find_differences(runs, fills_defaults=True) if before and after else []


def label_runs(run_records: Sequence[RunRecord]) -> dict[str, str]:
    """Return labels that distinguish runs: their names, and where several have one name also the only value that
    differs, or else their ids.
    """
    names = [record.name or name_index.name_step(record) or record.run for record in run_records]
    recorded_values = [collect_recorded_values(record.values) for record in run_records]
    comparable = all(recorded_values) and len({record.workload for record in run_records}) == 1
    differences = find_differences(recorded_values, fills_defaults=True) if comparable else []
    short_texts = shorten_texts(differences[0].cells) if len(differences) == 1 else []
    labels = dict[str, str]()
    for index, (label, record) in enumerate(zip(names, run_records, strict=True)):
        if names.count(label) > 1:
            run_id = record.run.removeprefix(f"{record.workload}-")
            is_told_by_value = len({*short_texts}) == len(run_records)
            label += f": {differences[0].name} {short_texts[index]}" if is_told_by_value else f" ({run_id})"
        labels[record.run] = label
    return labels
