"""The steps of a pipeline and the trials of a sweep, as rows and as data."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from robotrain.cli.output import format_table
from robotrain.model.amounts import format_duration
from robotrain.model.run import RunRecord, StepStatus, measure_seconds

MAX_TRIALS = 4
"""How many trials with the same reason are named."""


def dump_step(step: StepStatus) -> dict[str, Any]:
    """Return the status of a step as data; the keys are an API."""
    field_names = ("name", "state", "run", "reason", "started", "ended")
    return {name: getattr(step, name) for name in field_names}


def dump_steps(record: RunRecord, steps: Sequence[StepStatus]) -> dict[str, Any]:
    """Return the steps of a run as data, and the results of a sweep; the keys are an API."""
    steps_data: dict[str, Any] = {"steps": [*map(dump_step, steps)]}
    if record.is_sweep:
        from robotrain.sweeps import results

        steps_data["sweep"] = results.dump_results(results.read_results(record.run))
    return steps_data


def format_run_steps(record: RunRecord, steps: Sequence[StepStatus]) -> Iterator[str]:
    """Yield a line for each step; of a sweep, the table of its trials, why some did not succeed, and the best one."""
    if not record.is_sweep:
        yield from format_steps(steps)
        return
    from robotrain.sweeps import results
    from robotrain.sweeps.space import format_point

    sweep_results = results.read_results(record.run)
    if sweep_results is None:
        yield "the plan or the progress of the sweep is gone"
        return
    yield from format_table(results.list_trial_rows(sweep_results)).splitlines()
    trials: dict[tuple[str, str], list[str]] = {}  # those with the same reason share a line
    for step in steps:
        if step.reason:
            trials.setdefault((step.state, step.reason), []).append(step.name)
    for (state, reason), trial_names in trials.items():
        more_note = f" and {len(trial_names) - MAX_TRIALS} more" if len(trial_names) > MAX_TRIALS else ""
        yield f"{', '.join(trial_names[:MAX_TRIALS])}{more_note} {state}: {reason}"
    if rows := results.list_group_rows(sweep_results):
        yield ""
        yield from format_table(rows).splitlines()
    if best := sweep_results.best:
        point_text = format_point(best.values)
        choice_note = f"best of {sum(trial.score is not None for trial in sweep_results.trials)}, by this score"
        choice_note = "; ".join(filter(None, (choice_note, results.describe_ties(sweep_results))))
        score = f"{sweep_results.metric} {results.format_value(best.score)}"
        yield f"{'best':<11} {best.name}  {point_text}  {score} ({choice_note})"
        if command_line := results.make_register_command(record.run, sweep_results):
            yield f"{'':<11} {command_line}"
    if sweep_results.missing:
        metric_names = " or ".join(sweep_results.missing)
        yield f"{'best':<11} unknown: no trial reported {metric_names}; --compare-by METRIC of the sweep names another"


def format_steps(steps: Sequence[StepStatus]) -> Iterator[str]:
    """Yield a line for each step: its name, its state, how long it took, its run, and the reason."""
    width = max((len(step.name) for step in steps), default=0)
    for step in steps:
        seconds = measure_seconds(step, time.time())
        duration_text = "" if seconds is None else format_duration(seconds)
        parts = (f"{step.name:<{width}}", f"{step.state:<9}", f"{duration_text:>9}", step.run, step.reason)
        yield "  ".join(part for part in parts if part).rstrip()
