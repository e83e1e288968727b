"""The facts of a report: a run's record, plan, log and outputs, and related runs."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Evaluated

from robotrain.errors import Problem, Rejected, collect_problems, raise_if_any
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord, Status, StepStatus, measure_seconds
from robotrain.model.series import Series
from robotrain.model.workload_profile import Metric
from robotrain.pipelines.pipeline_engine import PipelineEngine
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.report import evaluation
from robotrain.report.evaluation import EvaluationFacts, EvaluationResults
from robotrain.report.sweep_part import SweepFacts, collect_sweep
from robotrain.store import name_index, plans, records, run_log, stored_job
from robotrain.store.run_values import RESUME_ROLE, find_resumed_run, format_setting
from robotrain.submission import interrupted_submit
from robotrain.sweeps import results

T = TypeVar("T")

MAX_RELATED = 20
"""How many of the newest runs are queried."""
URI_SEPARATORS = re.compile(r"[/:@]+")
POLICY_ROLE = "policy"
CHECKPOINT_STEP = re.compile(r"/checkpoints/0*(\d+)(?=/|$)")
TRAINING_RUN_TAG = "policy_run"
"""The tag of an evaluation with the run that trained its policy."""


@dataclass(frozen=True, slots=True)
class RelatedRun:
    """An evaluation of a policy."""

    run: str
    state: str = ""
    """Empty if its platform does not answer."""
    evaluated: Evaluated | None = None
    metrics: Sequence[Metric] = ()
    """The metrics that its workload declares."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ContinuedRun:
    """A run whose checkpoint the next one continues from."""

    record: RunRecord
    progress: Progress
    outputs: tuple[Output, ...]
    step: int
    """The last of its steps that counts: that of the checkpoint, or the last one it logged."""


def collect_earlier_runs(record: RunRecord, plugins: Plugins) -> tuple[ContinuedRun, ...]:
    """Return the runs that a run continues, oldest first, as far as they are recorded and their platforms answer."""
    earlier_runs = list[ContinuedRun]()
    while (name := find_resumed_run(record)) and all(name != earlier_run.record.run for earlier_run in earlier_runs):
        try:
            resumed = records.read_record(name)
            platform = plugins.platform_of(resumed)
            progress, _ = run_log.read_run_log(resumed, platform)
            outputs = tuple(platform.engine.outputs(resumed.reference))
        except (Rejected, OSError):
            break
        addresses = [source.uri for source in stored_job.read_stored_sources(record.run) if source.role == RESUME_ROLE]
        match = CHECKPOINT_STEP.search(addresses[0]) if addresses else None
        step = int(match[1]) if match else progress.checkpoint_step or progress.step or 0
        earlier_runs.insert(0, ContinuedRun(resumed, progress, outputs, step))
        record = resumed
    return tuple(earlier_runs)


def join_curves(progress: Progress, earlier_runs: Sequence[ContinuedRun]) -> Progress:
    """Return the progress of a run with the curves of those that it continues, each up to its checkpoint."""
    joined_progress = progress
    for earlier_run in reversed(earlier_runs):
        series = joined_progress.series.copy()
        for name in earlier_run.progress.series:
            own_points = joined_progress.get_points(name)
            earlier_points = [
                point
                for point in earlier_run.progress.get_points(name)
                if point[0] <= earlier_run.step and not (own_points and point[0] >= own_points[0][0])
            ]
            series[name] = Series(closed=[*earlier_points, *own_points])
        joined_progress = dataclasses.replace(joined_progress, series=series)
    return joined_progress


def find_evaluations(
    record: RunRecord, progress: Progress, outputs: Sequence[Output], plugins: Plugins
) -> tuple[RelatedRun, ...]:
    """Return the recorded runs that evaluated a policy of this run, newest first."""
    checkpoint_uris = (output.uri for output in outputs if output.kind == "checkpoint")
    output_places = {
        *checkpoint_uris,
        *(copy.to for copy in progress.published),
        *(model.uri for model in progress.registered if model.uri),
    }
    run_names = {record.run, str((progress.tracking or {}).get("run_id") or "")} - {""}
    if progress.evaluated or not (output_places or progress.checkpoint):
        return ()
    evaluating_runs = [
        name
        for name in records.iterate_newest_runs()
        if name != record.run
        and any(
            source.role == POLICY_ROLE and _is_policy_of(source, output_places, run_names)
            for source in stored_job.read_stored_sources(name)
        )
    ]
    related_runs = (_query_run(name, plugins) for name in evaluating_runs[:MAX_RELATED])
    return tuple(related_run for related_run in related_runs if related_run.evaluated)


def find_training_run(sources: Sequence[JobSource], tags: Mapping[str, str]) -> str:
    """Return the recorded run that trained the policy of a run; empty if there is none.

    :param tags: the tags of the run's tracking run.
    """
    parts = {part for source in sources if source.role == POLICY_ROLE for part in URI_SEPARATORS.split(source.uri)}
    parts.add(tags.get(TRAINING_RUN_TAG, ""))
    return next(records.iterate_runs(parts.__contains__), "")


def name_sources(sources: Sequence[JobSource], role: str, training_run: str = "") -> str:
    """Return what to call the sources of a role; a policy by the run that trained it, if that is recorded."""
    role_sources = [source for source in sources if source.role == role]
    if role == POLICY_ROLE and training_run:
        return ", ".join(dict.fromkeys(_name_checkpoint(training_run, source.uri) for source in role_sources))
    return redact(
        ", ".join(f"{source.uri} @ {source.pin[:12]}" if source.pin else source.uri for source in role_sources)
    )


def name_checkpoint(address: str) -> str:
    """Return what to call the checkpoint at an address, RUN@STEP; empty if it is of no recorded run."""
    run = next(records.iterate_runs({*URI_SEPARATORS.split(address)}.__contains__), "")
    return _name_checkpoint(run, address) if run else ""


def _name_checkpoint(run: str, address: str) -> str:
    step = CHECKPOINT_STEP.search(address)
    return f"{find_name(run) or run}{f'@{step[1]}' if step else ''}"


def _is_policy_of(source: JobSource, output_places: Collection[str], run_names: set[str]) -> bool:
    """Return whether a source is below one of the places, or its address contains one of the names."""
    is_below = any(
        source.uri == address or source.uri.startswith(address.rstrip("/") + "/") for address in output_places
    )
    return is_below or not run_names.isdisjoint(URI_SEPARATORS.split(source.uri))


def _query_run(run: str, plugins: Plugins) -> RelatedRun:
    """Return a run with its status and evaluation; only with its name if its platform does not answer."""
    try:
        record = records.read_record(run)
        platform = plugins.platform_of(record)
        state = platform.engine.status(record.reference).state
        progress, _ = run_log.read_run_log(record, platform)
    except (Rejected, OSError):
        return RelatedRun(run)
    return RelatedRun(run, state, progress.evaluated, record.metrics, record.name)


LAST_LINES = 40
MAX_LINE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Everything that a page shows about a run."""

    record: RunRecord
    status: Status
    progress: Progress
    last_lines: tuple[str, ...]
    """The last lines of its log that are not events."""
    outputs: tuple[Output, ...]
    sources: tuple[JobSource, ...]
    values: tuple[Mapping[str, Any], ...]
    """The values of the job with their origins; none if the plan is missing."""
    payload: str
    """The digest of the payload."""
    written: float
    evaluation: EvaluationFacts | None = None
    evaluations: tuple[RelatedRun, ...] = ()
    """Evaluations of the run's policy by other runs."""
    training_run: str = ""
    """The run that trained the policy of this one."""
    training_name: str = ""
    steps: tuple[StepStatus, ...] = ()
    """The steps of a pipeline."""
    sweep: SweepFacts | None = None
    earlier_runs: tuple[ContinuedRun, ...] = ()
    """Those that it continues, oldest first; the curves of its progress begin with theirs."""
    label: str = ""
    """What tells the run from those it is compared with; empty of a single run."""

    @property
    def results(self) -> EvaluationResults | None:
        """What the results file of an evaluation contains, if it is here."""
        return self.evaluation.results if self.evaluation else None

    @property
    def compared_progress(self) -> Progress:
        """What is compared with other runs: its own progress; of a sweep, that of its best trial."""
        return (self.sweep and self.sweep.best_progress) or self.progress

    @property
    def best_trial(self) -> str:
        """Of a sweep: its best trial, with its values and score; empty while there is none."""
        return results.describe_best(self.sweep.results) if self.sweep else ""

    @property
    def seconds(self) -> float | None:
        """How long the run took, or takes; until its last event if nobody saw its end."""
        return measure_seconds(self.status, self.written, self.progress.last_event)


def format_value(value: Any) -> str:
    """Return the value of a setting as text."""
    return "–" if value is None else format_setting(value)


def collect_facts(run: str, plugins: Plugins, on_progress: Callable[[str], None], complete: bool = True) -> RunFacts:
    """Return the facts of a run. Raise Rejected.

    :param complete: include the files of an evaluation, and related runs.
    """
    record = records.read_record(name_index.find_run(run))
    platform = plugins.platform_of(record)
    if record.phase == "sending":
        record = interrupted_submit.adopt_run(record, platform)
    stored_plan = plans.find_stored_plan(record.run)
    engine = platform.engine
    jobs = list(engine.list_jobs(record.reference)) if isinstance(engine, PipelineEngine) else []
    sources = stored_plan.plan.job.sources if stored_plan else ()
    sources += tuple(dict.fromkeys(source for job in jobs for source in job.sources))
    progress, log_lines = run_log.read_run_log(record, platform, LAST_LINES)
    outputs = tuple(platform.engine.outputs(record.reference))
    status, steps = (
        platform.get_engine_for(PipelineRuns).query_pipeline(record.reference) if record.steps else (None, ())
    )
    workloads = [job.workload for job in jobs] if record.steps else [record.workload]
    results_files = (evaluation.find_results_file(name, plugins) for name in workloads if progress.evaluated)
    results_file = next(filter(None, results_files), None)
    training_run = find_training_run(sources, progress.tags)
    earlier_runs = collect_earlier_runs(record, plugins)
    return RunFacts(
        record=record,
        status=status or platform.engine.status(record.reference),
        progress=join_curves(progress, earlier_runs),
        last_lines=tuple(redact(log_line, max_length=MAX_LINE) for log_line in log_lines),
        outputs=outputs,
        sources=sources,
        values=stored_plan.values if stored_plan else (),
        payload=stored_plan.payload.digest if stored_plan else "",
        written=time.time(),
        evaluation=evaluation.collect_evaluation(
            record, platform, progress, outputs, results_file, on_progress, complete
        ),
        evaluations=find_evaluations(record, progress, outputs, plugins) if complete else (),
        training_run=training_run,
        training_name=find_name(training_run),
        steps=tuple(steps),
        sweep=collect_sweep(record, plugins),
        earlier_runs=earlier_runs,
    )


def find_name(run: str) -> str:
    """Return the name of a run; empty without one, and if its record cannot be read."""
    with contextlib.suppress(Rejected):
        if record := records.find_record(run):
            return record.name
    return ""


def collect_all_facts(runs: Sequence[str], plugins: Plugins, on_progress: Callable[[str], None]) -> list[RunFacts]:
    """Return the facts of different runs, in the given order; complete ones of a single run.

    Raise Rejected with the problems of all runs.
    """
    run_names = list(dict.fromkeys(_collect_all(runs, name_index.find_run)))
    return _collect_all(run_names, lambda name: collect_facts(name, plugins, on_progress, complete=len(run_names) == 1))


def _collect_all(runs: Sequence[str], collect: Callable[[str], T]) -> list[T]:
    """Return the answer for each run. Raise Rejected with the problems of all runs."""
    collected_results = list[T]()
    problems = list[Problem]()
    for run in runs:
        with collect_problems(problems):
            collected_results.append(collect(run))
    raise_if_any(problems)
    return collected_results


def read_local_progress(record: RunRecord, plugins: Plugins) -> Progress:
    """Return the progress of a run whose events are on this machine; of others, none: each log would be a request."""
    with contextlib.suppress(Rejected, OSError):
        path = plugins.platform_of(record).engine.events_file(record.reference)
        if path and Path(path).is_file():
            return run_log.read_events_file(record, path)[0]
    return Progress()
