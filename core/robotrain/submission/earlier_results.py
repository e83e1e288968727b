"""What earlier runs of a workload found, for a job that goes on from it."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robotrain.config.resolve import Resolution
from robotrain.config.values import DEFAULT_ORIGIN, Origin, Value
from robotrain.errors import Rejected
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import compared_policies, records, run_log
from robotrain.store.latest_run import REFERENCE_ROLE


def add_earlier_results(resolution: Resolution, plugins: Plugins) -> Resolution:
    """Return a job with what earlier runs found, if it goes on from that; like a pin it is not part of its digest."""
    workload = resolution.workload
    if workload.continue_runs is None:
        return resolution
    continued_values = workload.continue_runs(resolution.job, lambda: list_answers(workload.name, plugins))
    defaults = {
        name: Value(value, Origin(DEFAULT_ORIGIN.layer, owner))
        for name, (value, owner) in continued_values.items()
        if resolution.parameters[name].origin == DEFAULT_ORIGIN and name not in resolution.unset
    }
    if not defaults:
        return resolution
    job = resolution.job
    labels = {**{name: dict(job.parameters)[name] for name in defaults}, **dict(job.labels)}
    for name, default in defaults.items():
        job = job.with_parameter(name, default.value)
    return dataclasses.replace(
        resolution,
        job=dataclasses.replace(job, labels=tuple(labels.items())),
        parameters={**resolution.parameters, **defaults},
    )


def list_answers(workload: str, plugins: Plugins) -> dict[str, Mapping[str, Any]]:
    """Return what the newest runs of a workload that compared policies found, by run, the oldest first.

    No platform is asked over a network: of runs elsewhere it is known what this machine has seen.
    """
    answer_by_run: dict[str, Mapping[str, Any]] = {}
    for run in records.iterate_newest_runs():
        with contextlib.suppress(Rejected, OSError):
            record = records.read_record(run)
            is_comparison = record.workload == workload and REFERENCE_ROLE in record.values
            if is_comparison and (answer := _read_answer(record, plugins)):
                answer_by_run[run] = answer
    return dict(reversed(answer_by_run.items()))


def _read_answer(record: RunRecord, plugins: Plugins) -> Mapping[str, Any]:
    path = plugins.platform_of(record).engine.events_file(record.reference)
    if path and Path(path).is_file():
        progress, _ = run_log.read_events_file(record, path)
        return progress.evaluated.compared if progress.evaluated else {}
    return compared_policies.read_answer(record.run)
