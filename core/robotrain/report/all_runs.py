"""The page of all runs: a row for each, newest first, with its main curve as a sparkline."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord, StepStatus
from robotrain.plugins.manager import Plugins
from robotrain.report.charts import Points
from robotrain.report.template import render_template
from robotrain.store import progress_cache, records
from robotrain.sweeps import results


class RunRow(NamedTuple):
    """What the page shows about a run."""

    run: str
    name: str
    state: str
    what: str = ""
    submitted: str = ""
    curve: Points = ()
    cells: Sequence[str] = ("", "", "", "")
    """Loss, score, steps and time."""
    reason: str = ""
    """Why it is in that state."""
    best_trial: str = ""
    """Of a sweep: its best trial, with its values and score."""


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
    return render_template("all_runs.html", title, written_time, run_pages, rows=rows)
