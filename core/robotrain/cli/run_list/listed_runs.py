"""Recorded runs with their states, progress and differences."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from robotrain_runtime.contract import failure

from robotrain.cli.run_list.platform_queries import FailedQuery, can_list, query_platforms, query_statuses
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.progress import read_newest_progress
from robotrain.model.run import RunRecord, RunState, Status, StepStatus
from robotrain.model.scores import find_headline_score
from robotrain.model.submitted_run import ListedSubmission
from robotrain.plugins.manager import Plugins
from robotrain.store import compared_policies, listed_results, name_lock, records
from robotrain.store.listed_results import ListedProgress

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.progress import Progress

make_problem = Messages(__file__)

RecordFilter = Callable[[RunRecord], bool]
MAX_LOG_WORKERS = 4
"""How many logs a platform is asked for at the same time; a log may take it two requests, each with a process."""
MAX_EXAMINED = 500
"""How many runs are asked for their state at most, unless all are listed."""
TAIL_LINES = 200
"""How many last lines of a log are searched for the newest step and loss."""
MAX_LOGS = 8
"""How many logs are asked for of an engine that lists its runs."""
LISTED_STATES = (*get_args(RunState), "sending", "interrupted", "gone", "broken", "unknown")
"""The states of a run, and: being submitted, submit interrupted, unknown to its platform, record unreadable, platform
silent.
"""
STATES_WITH_REASON = ("failed", "lost", "cancelled", "pending", "interrupted", "gone", "broken", "unknown")
"""States whose reason is shown beside them."""


@dataclass(kw_only=True)
class ListedRun:
    """A run in the list."""

    run: str
    state: str
    reason: str = ""
    record: RunRecord | None = None
    status: Status | None = None
    no_answer: FailedQuery | None = None
    """Set when the platform did not return the state; then an end that was seen before counts."""
    progress: ListedProgress = field(default_factory=ListedProgress)
    """What the end of its log says."""
    is_settled: bool = False
    """Whether it ended for good, and all this is stored."""
    steps: Sequence[StepStatus] = ()
    """The steps of a pipeline."""
    submission: ListedSubmission | None = None
    """What its platform lists of it, where that was asked for."""
    is_recorded: bool = True
    """Whether this machine has its record; else `record` is what its platform says."""

    @property
    def shown_reason(self) -> str:
        """Why the run is in its state, where that says more than the state."""
        if self.state not in STATES_WITH_REASON:
            return ""
        stop_reasons = (failure.STOPPED_REASON, failure.STOPPED_EARLY_REASON)
        first_sentence = self.reason.partition(". ")[0]  # the next one names the last checkpoint, as `status` does
        says_no_more = first_sentence.endswith(stop_reasons)
        return "" if self.state == "cancelled" and says_no_more else self.reason

    @property
    def best_trial(self) -> str:
        """Of a sweep: its best trial, with its values and score; empty while there is none."""
        return self.progress.conditions if self.record and self.record.is_sweep else ""


def list_runs(
    plugins: Plugins,
    number: int | None,
    states: Sequence[str],
    accept: RecordFilter | None,
    with_steps: bool,
) -> tuple[list[ListedRun], list[ListedRun], bool]:
    """Return the selected runs, newest first; those whose state is not known; and whether there may be more.

    :param number: how many at most; None for all.
    :param states: those that count; empty for all.
    :param accept: takes the record of a run; a run whose record cannot be read is left out where it is given.
    :param with_steps: include the runs of pipelines' steps.
    """
    run_names = records.iterate_runs(with_steps=with_steps)
    selected_runs = list[ListedRun]()
    uncertain_runs = list[ListedRun]()
    examined_count = 0
    while number is None or len(selected_runs) < number:
        batch = list(itertools.islice(_read_records(run_names, accept), number or MAX_EXAMINED))
        if not batch:
            break
        examined_count += len(batch)
        _add_states(batch, plugins)
        selected_runs += [listed_run for listed_run in batch if not states or listed_run.state in states]
        uncertain_runs += [
            listed_run for listed_run in batch if states and listed_run.state == "unknown" and "unknown" not in states
        ]
        if number is not None and examined_count >= max(MAX_EXAMINED, number):
            break
    selected_runs = selected_runs[:number]
    _add_progress(selected_runs, plugins)
    pipelines = [
        listed_run
        for listed_run in selected_runs
        if listed_run.status and listed_run.record and listed_run.record.steps
    ]
    pipeline_records = [pipeline.record for pipeline in pipelines if pipeline.record]
    answers = query_platforms(
        pipeline_records,
        plugins,
        lambda record, platform: [*platform.get_engine_for(PipelineRuns).list_steps(record.reference)],
    )
    for pipeline, answer in zip(pipelines, answers, strict=True):
        pipeline.steps = () if isinstance(answer, FailedQuery) else tuple(answer)
    return selected_runs, uncertain_runs, number is not None and next(run_names, None) is not None


def find_silent_platforms(listed_runs: Sequence[ListedRun]) -> Iterator[Problem]:
    """Yield a warning for each reason why a platform did not return the state of runs."""
    runs_by_reason: dict[tuple[str, str, tuple[Suggestion, ...]], list[str]] = {}
    for listed_run in listed_runs:
        if listed_run.no_answer and listed_run.record:
            problem = listed_run.no_answer.problem
            reason = (problem and problem.why) or listed_run.no_answer.why
            ways = problem.suggestions if problem else ()
            runs_by_reason.setdefault((listed_run.record.platform, reason, ways), []).append(listed_run.run)
    for (platform, reason, ways), runs in runs_by_reason.items():
        runs_text = runs[0] if len(runs) == 1 else f"{len(runs)} runs"
        yield make_problem("platform-away", *ways, platform=platform, which=runs_text, reason=reason.rstrip("."))


def find_unfinished_runs(plugins: Plugins) -> tuple[list[ListedRun], list[ListedRun]]:
    """Return the newest runs that have not ended, and those whose state is unknown."""
    batch = list(itertools.islice(_read_records(records.iterate_runs(with_steps=False)), MAX_EXAMINED))
    _add_states(batch, plugins)
    unknown_runs = [listed_run for listed_run in batch if listed_run.state == "unknown"]
    return [listed_run for listed_run in batch if listed_run.state in ("pending", "running")], unknown_runs


def describe_interrupted(run: str) -> str:
    """Return why the state of a run is unknown whose submit was interrupted."""
    return f"its submit was interrupted; `robotrain status {run}` looks it up"


def _read_records(names: Iterator[str], accept: RecordFilter | None = None) -> Iterator[ListedRun]:
    for name in names:
        try:
            record = records.read_record(name)
        except records.UnknownRun:  # removed meanwhile
            continue
        except Rejected as rejected:
            if accept is None:
                problem = rejected.problems[0]
                ways = "".join(
                    f"; {way.text} ({way.remark})" if way.remark else f"; {way.text}" for way in problem.suggestions[:1]
                )
                yield ListedRun(run=name, state="broken", reason=f"{problem.why.rstrip('.') or problem.title}{ways}")
            continue
        if accept and not accept(record):
            continue
        listed_run = ListedRun(run=name, state="unknown", record=record)
        if record.phase == "sending":
            listed_run.state = "sending" if name_lock.is_being_submitted(name) else "interrupted"
            listed_run.reason = describe_interrupted(name) if listed_run.state == "interrupted" else ""
        elif not record.steps and (ended_run := listed_results.read_ended_run(name)) and ended_run.is_settled:
            listed_run.status, listed_run.progress, listed_run.is_settled = ended_run
            listed_run.state, listed_run.reason = ended_run.status.state, ended_run.status.reason
        yield listed_run


def _add_states(batch: Sequence[ListedRun], plugins: Plugins) -> None:
    unknown_runs = [listed_run for listed_run in batch if listed_run.state == "unknown"]
    answers = query_statuses([listed_run.record for listed_run in unknown_runs if listed_run.record], plugins)
    for listed_run, answer in zip(unknown_runs, answers, strict=True):
        if isinstance(answer, Status):
            listed_run.status, listed_run.state, listed_run.reason = answer, answer.state, answer.reason
            records.save_final_status(listed_run.run, answer)
        elif isinstance(answer, FailedQuery) and answer.gone:
            listed_run.state, listed_run.reason = "gone", answer.why
        elif isinstance(answer, FailedQuery):
            listed_run.reason, listed_run.no_answer = answer.why, answer
            if status := records.read_final_status(listed_run.run):
                listed_run.status, listed_run.state, listed_run.reason = status, status.state, status.reason
        else:
            listed_run.reason = f"{listed_run.record.platform if listed_run.record else ''} returned no status"


def _add_progress(listed_runs: Sequence[ListedRun], plugins: Plugins) -> None:
    """Add the progress of runs whose platform returns a log.

    Of an engine that lists its runs, each log takes a request: only a few are asked for, and those of ended runs once.
    """
    queried_runs: list[tuple[ListedRun, bool]] = []
    requests = Counter[str]()
    for listed_run in listed_runs:
        if (
            listed_run.is_settled
            or listed_run.record is None
            or listed_run.status is None
            or listed_run.no_answer
            or listed_run.state == "pending"
        ):
            continue
        if listed_run.record.is_sweep:
            listed_run.progress = _summarize_sweep(listed_run.record)
            continue
        is_remote = not listed_run.record.steps and can_list(listed_run.record.platform, plugins)
        if is_remote and listed_run.status.finished and (ended_run := listed_results.read_ended_run(listed_run.run)):
            listed_run.progress = ended_run.progress
            continue
        requests[listed_run.record.platform] += is_remote
        if requests[listed_run.record.platform] <= MAX_LOGS:
            queried_runs.append((listed_run, is_remote))
    queried_records = [listed_run.record for listed_run, _ in queried_runs if listed_run.record]
    answers = query_platforms(queried_records, plugins, _query_progress, MAX_LOG_WORKERS)
    for (listed_run, is_remote), answer in zip(queried_runs, answers, strict=True):
        if isinstance(answer, FailedQuery) or listed_run.status is None:
            continue
        progress, file = answer
        if not file:
            compared_policies.store_answer(listed_run.run, progress.evaluated)
        listed_run.progress = listed_results.summarize_progress(progress)
        status, outcome = listed_run.status, progress.outcome
        if outcome and status.finished:
            is_reported = (outcome.state, outcome.reason) == (status.state, status.reason)  # by the run, at its end
            if is_remote or (file and status.ended is not None and is_reported):
                listed_results.store_ended_run(listed_run.run, status, listed_run.progress, file)


def _summarize_sweep(record: RunRecord) -> ListedProgress:
    """Return how many trials have ended, and what the best one reached."""
    from robotrain.sweeps import results

    if (sweep_results := results.read_results(record.run)) is None:
        return ListedProgress()
    ended_count = sum(trial.state not in ("waiting", "pending", "running") for trial in sweep_results.trials)
    count = ListedProgress(ended_count, len(sweep_results.trials), "trial")
    if sweep_results.best is None or sweep_results.best.score is None:
        return count
    score, name = sweep_results.best.score, sweep_results.metric
    summary = count._replace(scores={name: score}, conditions=f"best {results.describe_best(sweep_results)}")
    metric = next((metric for metric in record.metrics if metric.matches(name)), None)
    if metric and metric.is_loss:
        return summary._replace(loss=score, scores={})
    return (
        summary
        if find_headline_score(summary.scores, record.metrics)
        else summary._replace(winner=f"{name} {results.format_value(score)}")
    )


def _query_progress(record: RunRecord, platform: Platform) -> tuple[Progress, list[Any] | None]:
    """Return what the end of the log says, and which file of events, if nothing can start the run again."""
    runs_here = not record.steps and platform.capabilities.feature("runs_here")
    path = platform.engine.events_file(record.reference) if runs_here else None
    file = listed_results.identify_file(path) if path else None
    log_lines = platform.engine.logs(record.reference, follow=False, tail=TAIL_LINES)
    return read_newest_progress(log_lines, record.metrics), file
