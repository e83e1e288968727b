"""The page of all runs: a row for each, newest first, with its main curve as a sparkline; and what differs."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord, StepStatus
from robotrain.plugins.manager import Plugins
from robotrain.report.charts import Points
from robotrain.report.template import redact_text, render_template
from robotrain.store import progress_cache, records, run_differences
from robotrain.store.run_values import IDENTITIES, shorten_texts
from robotrain.sweeps import results

CELL_NAMES = ("loss", "score", "steps", "time")


class RunRow(NamedTuple):
    """What the page shows about a run."""

    run: str
    name: str
    state: str
    what: str = ""
    submitted: str = ""
    curve: Points = ()
    cells: Sequence[str] = ("",) * len(CELL_NAMES)
    """Those of `CELL_NAMES`."""
    reason: str = ""
    """Why it is in that state."""
    best_trial: str = ""
    """Of a sweep: its best trial, with its values and score."""
    record: RunRecord | None = None
    """None of a run whose record cannot be read."""


class DifferenceTable(NamedTuple):
    """What differs between the runs of one program or workload."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    runs: Sequence[str]
    """The run of each row."""
    omitted: int
    """How many settings that differ have no column."""


MAX_SETTINGS = 12
"""How many settings of one table are columns."""


def read_progress(record: RunRecord, steps: Sequence[StepStatus], plugins: Plugins) -> Progress:
    """Return the progress of a run whose events are on this machine; of others, none: each log would be a request.

    :param steps: of a pipeline, whose first one with a curve counts; of a sweep, the best trial does.
    """
    for step in _select_trials(record, steps) if record.is_sweep else steps:
        with contextlib.suppress(Rejected):
            if (step_record := records.find_record(step.run)) and (
                progress := read_progress(step_record, (), plugins)
            ).curve:
                return progress
    with contextlib.suppress(Rejected, OSError):
        path = plugins.platform_of(record).engine.events_file(record.reference)
        if path and Path(path).is_file():
            return progress_cache.read_events_file(record, path)[0]
    return Progress()


def _select_trials(record: RunRecord, trials: Sequence[StepStatus]) -> list[StepStatus]:
    """Return the best trial of a sweep, if there is one yet."""
    sweep_results = results.read_results(record.run)
    best = sweep_results.best if sweep_results else None
    return [trial for trial in trials if best and trial.name == best.name]


def render_all_page(rows: Sequence[RunRow], written_time: float, run_pages: Mapping[str, str] | None = None) -> str:
    """Return the page; equal rows give equal pages.

    :param run_pages: the file of the page of each run that has one in the same folder.
    """
    title = f"{len(rows)} runs" if len(rows) != 1 else "1 run"
    tables = list(list_differences(rows))
    return render_template(
        "all_runs.html", title, written_time, run_pages, cell_names=CELL_NAMES, rows=rows, difference_tables=tables
    )


def _name_series(record: RunRecord) -> str:
    """Return what to call the runs that are compared with a run: `runs of train.py`, `sweeps`."""
    noun = "sweeps" if record.is_sweep else "runs"
    subject = record.program or ("" if record.is_sweep else record.workload)
    return f"{noun} of {subject}" if subject else noun


def list_differences(rows: Sequence[RunRow]) -> Iterator[DifferenceTable]:
    """Yield a table for the runs of each workload or program, if there are several and their settings differ."""
    rows_by_series: dict[tuple[object, ...], list[tuple[RunRow, RunRecord]]] = {}
    for row in rows:
        if row.record and row.record.values:
            rows_by_series.setdefault(run_differences.find_series(row.record), []).append((row, row.record))
    for series_rows in rows_by_series.values():
        recorded_values = [run_differences.collect_recorded_values(record.values) for _, record in series_rows]
        differences = [
            difference
            for difference in run_differences.find_differences(recorded_values, fills_defaults=True)
            if difference.name not in IDENTITIES
        ]
        if not differences:
            continue
        shown_differences = differences[:MAX_SETTINGS]
        columns = [shorten_texts(difference.cells) for difference in shown_differences]
        loss_and_score = [row.cells[:2] for row, _ in series_rows]
        _, first_record = series_rows[0]
        yield DifferenceTable(
            title=_name_series(first_record),
            head=("run", *(redact_text(difference.name) for difference in shown_differences), *CELL_NAMES[:2]),
            rows=[
                (record.name or record.run, *values, *reached)
                for (_, record), values, reached in zip(
                    series_rows, zip(*columns, strict=True), loss_and_score, strict=True
                )
            ],
            runs=[record.run if record.name else "" for _, record in series_rows],
            omitted=len(differences) - len(shown_differences),
        )
