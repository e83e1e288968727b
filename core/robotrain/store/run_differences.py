"""What differs between runs: their sources, settings, and the options of their trainers, as rows.

`diff`, `report`, the list of runs and the preview of `resubmit` print these rows. A run's values come from its stored
plan, from what its record keeps of it, or from a job that is about to be sent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobSource

from robotrain.model.code_commit_tags import format_commit
from robotrain.model.job import TRAINER_ARGS
from robotrain.model.plan import RenderedPlan
from robotrain.model.run import RunRecord
from robotrain.store.run_values import (
    PIN,
    collect_chosen,
    format_default,
    format_value,
    is_chosen_row,
    join_trainer_args,
    shorten_texts,
)

PIN_LENGTH, RECORDED_PIN_LENGTH = 20, 12
"""Characters of a commit or digest (`folder:…`) that tell two apart, and those that a record keeps."""


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
MAX_CHANGES = 4
"""How many changes are shown."""
RunValues = Mapping[str, RunValue]
"""The values of a run by name. Those of a step are `STEP.batch_size`; an option of the trainer is `--policy.dim_model`,
that of a step `STEP --policy.dim_model`.
"""


class Difference(NamedTuple):
    """A value that differs between runs."""

    name: str
    texts: tuple[str | None, ...]
    """One for each run; None for a run without it."""
    is_source: bool = False


def collect_stored_values(
    rows: Sequence[Mapping[str, Any]], sources: Sequence[JobSource] = (), *, is_sweep: bool = False
) -> dict[str, RunValue]:
    """Return all values of a run, the defaults too.

    :param rows: the values of its plan, with those of each step or trial.
    :param sources: what the run reads, with pins.
    :param is_sweep: whether the steps are trials of one job: then each value stands once, with all that trials have.
    """
    described = describe_sources(sources)
    roles = described.keys()
    values = {role: RunValue(text, is_source=True) for role, text in described.items()}
    for name, value in _iterate_rows(rows):
        if name.rpartition(".")[2] not in roles:
            values[name] = value
    return _join_trials(values) if is_sweep else values


def collect_values(rendered: RenderedPlan) -> dict[str, tuple[str, ...]]:
    """Return what the record of a run keeps: each value that is not its default, with that default, as texts."""
    rows, sources = rendered.values, rendered.plan.job.sources
    if rendered.steps:
        stored = collect_stored_values(rows, is_sweep=rendered.plan.job.profile.outputs.is_sweep)
        chosen = {name: value for name, value in stored.items() if value.is_chosen and value.text != value.default}
        recorded = chosen if len(chosen) <= MAX_RECORDED else {}
        return {name: (value.text, value.default) for name, value in recorded.items()}
    source_values = _join_sources(source for source in sources if not source.implied)
    values = source_values | collect_chosen(rows, sources)
    implied = _join_sources(source for source in sources if source.implied and source.role not in values)
    return values | implied | {name: (text, "") for name, text in join_trainer_args(rows).items()}


def _join_sources(sources: Iterable[JobSource]) -> dict[str, tuple[str, ...]]:
    joined: dict[str, tuple[str, ...]] = {}
    for source in sources:
        text = format_value(source.uri) + (f" @ {source.pin[:RECORDED_PIN_LENGTH]}" if source.pin else "")
        joined[source.role] = (", ".join([*joined.get(source.role, ())[:1], text]), "")
    return joined


def collect_recorded_values(recorded: Mapping[str, Sequence[str]]) -> dict[str, RunValue]:
    """Return the values that the record of a run keeps: those that are not defaults, each with its default."""
    return {name: RunValue(text, default) for name, (text, default) in recorded.items()}


def describe_sources(sources: Iterable[JobSource]) -> dict[str, str]:
    """Return the sources of each role as text, with pins and commits; those that the job implies are left out."""
    described: dict[str, list[str]] = {}
    for source in sources:
        if not source.implied:
            pin = f" @ {source.pin[:PIN_LENGTH]}" if source.pin else ""
            commit = format_commit(source)
            text = f"{source.kind} {format_value(source.uri)}{pin}{f' ({commit})' if commit else ''}"
            described.setdefault(source.role, []).append(text)
    return {role: ", ".join(texts) for role, texts in described.items()}


def find_differences(runs: Sequence[RunValues], *, fills_defaults: bool = False) -> list[Difference]:
    """Return the values that differ: sources first, options of trainers last.

    :param runs: the values of each run; a run without any is one of which nothing is known, and does not count.
    :param fills_defaults: take the default for a value that a run lacks, as where only chosen values are known.
    """
    names = dict.fromkeys(name for values in reversed(runs) for name in values)
    differences = [_compare(name, runs, fills_defaults=fills_defaults) for name in names]
    differing = [difference for difference in differences if difference is not None]
    return sorted(differing, key=lambda difference: (not difference.is_source, is_option(difference.name)))


def is_option(name: str) -> bool:
    """Return whether the name of a value is that of an option of a trainer."""
    return name.startswith("-") or " -" in name


def _compare(name: str, runs: Sequence[RunValues], *, fills_defaults: bool) -> Difference | None:
    present_values = [values[name] for values in runs if name in values]
    default = present_values[0].default or None
    texts = [values[name].text if name in values else None for values in runs]
    if fills_defaults:
        texts = [default if text is None and values else text for text, values in zip(texts, runs, strict=True)]
    compared = {text for text, values in zip(texts, runs, strict=True) if values}
    is_missing = None in compared
    if len(compared - {None}) > 1 or (
        is_missing and len(compared) > 1 and any(value.is_chosen for value in present_values)
    ):
        return Difference(name, tuple(texts), present_values[0].is_source)
    return None


def _iterate_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, RunValue]]:
    """Yield each value of a plan with its name, the options of the trainers of all steps one by one."""
    arguments: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        step, _, name = row["name"].rpartition(".")
        if name == TRAINER_ARGS:
            arguments.setdefault(step, []).append({**row, "name": name})
            continue
        text = format_value(row["value"])
        is_chosen = is_chosen_row(row)
        yield row["name"], RunValue(text, format_default(row) if is_chosen else text, is_chosen)
    for step, step_rows in arguments.items():
        for option, text in join_trainer_args(step_rows).items():
            yield f"{step} {option}".strip(), RunValue(text)


def _join_trials(values: Mapping[str, RunValue]) -> dict[str, RunValue]:
    """Return the values of a sweep by their names in a trial: what several trials have differently is a list."""
    by_name: dict[str, list[RunValue]] = {}
    for name, value in values.items():
        own_name = name.partition(" ")[2] if is_option(name) else name.partition(".")[2] or name
        by_name.setdefault(own_name, []).append(value)
    joined: dict[str, RunValue] = {}
    for name, trial_values in by_name.items():
        texts = dict.fromkeys(value.text for value in trial_values)
        is_chosen = any(value.is_chosen for value in trial_values)
        joined[name] = trial_values[0]._replace(text=", ".join(texts), is_chosen=is_chosen)
    return joined


def find_changes(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> list[Difference]:
    """Return the differences between the recorded values of two runs."""
    runs = [collect_recorded_values(recorded) for recorded in (before, after)]
    return find_differences(runs, fills_defaults=True) if before and after else []


def format_changes(changes: Sequence[Difference]) -> str:
    """Return changes as a line: `batch_size 8 → 16, seed 1 → 2`."""
    texts = [_format_change(change) for change in changes[:MAX_CHANGES]]
    return ", ".join([*texts, *([f"{len(changes) - MAX_CHANGES} more"] if len(changes) > MAX_CHANGES else [])])


def _format_change(change: Difference) -> str:
    """Return a change; of a source at the same address with another content, only that it changed."""
    if None not in change.texts and len({PIN.sub("", text or "") for text in change.texts}) == 1:
        return f"{change.name} changed"
    words = ["not set" if text is None else text or "set" for text in change.texts]
    return f"{change.name} {' → '.join(words)}"


def label_runs(compared: Sequence[RunRecord]) -> dict[str, str]:
    """Return labels that distinguish runs: their names, and where several have one name also the only value that
    differs, or else their ids.
    """
    names = Counter(record.name for record in compared if record.name)
    recorded = [collect_recorded_values(record.values) for record in compared]
    comparable = all(recorded) and len({record.workload for record in compared}) == 1
    differences = find_differences(recorded, fills_defaults=True) if comparable else []
    texts = shorten_texts([text or "" for text in differences[0].texts]) if len(differences) == 1 else []
    labels = dict[str, str]()
    for at, record in enumerate(compared):
        label = record.name or record.run
        if names[record.name] > 1:
            run_id = record.run.removeprefix(f"{record.workload}-")
            is_told_by_value = len({*texts}) == len(compared)
            label += f": {differences[0].name} {texts[at] or 'not set'}" if is_told_by_value else f" ({run_id})"
        labels[record.run] = label
    return labels
