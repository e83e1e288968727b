"""The part of a page about a sweep: its trials, best first, and the curves of the first ones."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.report.charts import MAX_LINES
from robotrain.report.curves import Curves, find_curve_metrics, list_curves
from robotrain.report.evaluation import format_number
from robotrain.store import records, run_log
from robotrain.sweeps import results
from robotrain.sweeps.results import SweepResults, Trial, format_value
from robotrain.sweeps.space import format_point


@dataclass(frozen=True, slots=True)
class SweepFacts:
    """What a page shows about a sweep."""

    results: SweepResults
    progress: Mapping[str, tuple[RunRecord, Progress]]
    """Of the best trials, by name; an engine's own trials have no events here."""

    @property
    def best_progress(self) -> Progress | None:
        """The progress of the best trial; None while there is none, or without its events here."""
        best = self.results.best
        _, progress = self.progress.get(best.name, (None, None)) if best else (None, None)
        return progress


def collect_sweep(record: RunRecord, plugins: Plugins) -> SweepFacts | None:
    """Return the facts of a sweep; None of another run, and without the sweep's plan."""
    sweep_results = results.read_results(record.run) if record.is_sweep else None
    if sweep_results is None:
        return None
    progress_by_trial: dict[str, tuple[RunRecord, Progress]] = {}
    for trial, _ in rank_trials(sweep_results)[:MAX_LINES]:
        if trial.run and records.is_step(trial.run):
            with contextlib.suppress(Rejected, OSError):  # the table has what the sweep knows of it
                trial_record = records.read_record(trial.run)
                progress_by_trial[trial.name] = (
                    trial_record,
                    run_log.read_run_log(trial_record, plugins.platform_of(trial_record))[0],
                )
    return SweepFacts(sweep_results, progress_by_trial)


def select_shared_values(value_rows: Sequence[Mapping[str, Any]], sweep: SweepFacts) -> list[Mapping[str, Any]]:
    """Return the settings that all trials have, once: those of the first one, but for what the sweep changes."""
    trial_prefix = f"{sweep.results.trials[0].name}." if sweep.results.trials else ""
    trial_rows = [
        {**row, "name": row["name"].removeprefix(trial_prefix)}
        for row in value_rows
        if row["name"].startswith(trial_prefix)
    ]
    return [row for row in trial_rows if row["name"] not in sweep.results.over]


def rank_trials(sweep_results: SweepResults) -> list[tuple[Trial, int | None]]:
    """Return the trials with their ranks, best first; those without a score have none, and follow."""
    scored_trials = results.rank_scored(sweep_results.trials, sweep_results.better)
    unscored_trials = [trial for trial in sweep_results.trials if trial not in scored_trials]
    scores = [trial.score for trial in scored_trials]
    return [
        *((trial, scores.index(trial.score) + 1) for trial in scored_trials),
        *((trial, None) for trial in unscored_trials),
    ]


def list_sweep_tiles(sweep: SweepFacts) -> list[tuple[str, str, str]]:
    """Return the important numbers of a sweep: a name, a text and a remark each."""
    sweep_results, best = sweep.results, sweep.results.best
    succeeded_count = sum(trial.state == "succeeded" for trial in sweep_results.trials)
    best_tiles = [(f"best {sweep_results.metric}", format_value(best.score), format_point(best.values))] if best else []
    return [("trials", f"{succeeded_count} of {len(sweep_results.trials)}", ""), *best_tiles]


def describe_sweep(run: str, sweep: SweepFacts | None) -> dict[str, Any]:
    """Return the values of the template `sweep.html`."""
    if sweep is None:
        return {"trial_rows": ()}
    sweep_results, ranked_trials = sweep.results, rank_trials(sweep.results)
    labels = {trial.name: f"{trial.name} ({format_point(trial.values)})" for trial, _ in ranked_trials}
    best = sweep_results.best
    shown_trials = [(trial, sweep.progress.get(trial.name)) for trial, _ in ranked_trials[:MAX_LINES]]
    trial_curves = [Curves(labels[trial.name], *(trial_record or (None, None))) for trial, trial_record in shown_trials]
    logged_metrics = (
        {} if sweep_results.metric else find_curve_metrics([shown[1] for _, shown in shown_trials if shown])
    )
    return {
        "trial_head": (
            *("trial", *sweep_results.over, sweep_results.metric),
            *(metric.title for metric in logged_metrics.values()),
            *("rank", "state", "run"),
        ),
        "trial_rows": [
            (
                trial.name,
                *(format_value(trial.values.get(name)) for name in sweep_results.over),
                format_value(trial.score),
                *(_format_newest(sweep, trial, name) for name in logged_metrics),
                str(rank or ""),
                trial.state,
                trial.run,
            )
            for trial, rank in ranked_trials
        ],
        "trial_curves": list(list_curves(trial_curves)),
        "group_rows": results.list_group_rows(sweep_results),
        "best": f"{best.name} ({format_point(best.values)})" if best else "",
        "ties": results.describe_ties(sweep_results),
        "register_command": results.make_register_command(run, sweep_results),
    }


def _format_newest(sweep: SweepFacts, trial: Trial, metric_name: str) -> str:
    """Return the newest value of a metric that does not rank the trials; empty where there is none."""
    _, progress = sweep.progress.get(trial.name, (None, None))
    return format_number(progress.metrics.get(metric_name)) if progress else ""
