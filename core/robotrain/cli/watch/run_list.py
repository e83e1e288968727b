"""Recorded runs with their states; platforms are asked in parallel, each with a timeout."""

from __future__ import annotations

import functools
import itertools
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from robotrain.cli.output import describe_exception
from robotrain.errors import Problem, Rejected, Stage
from robotrain.model import progress, scores
from robotrain.model.run import RunGone, RunState, Status
from robotrain.plugins import calls
from robotrain.plugins.calls import PluginCall
from robotrain.store import name_lock, records

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins

MAX_WORKERS = 8


class PlatformQuestion(NamedTuple):
    """A question to a platform."""

    platform: str
    ask: Callable[[], Any]


class PlatformSilence(NamedTuple):
    """Stands for an answer that a platform did not give."""

    why: str
    gone: bool = False
    """Whether the platform no longer knows the run."""
    problem: Problem | None = None
    """The problem that the platform reported."""


def ask_platforms(questions: Sequence[PlatformQuestion]) -> list[Any]:
    """Return the answers in order, a PlatformSilence for each missing one.

    Each platform has its own threads, so that none waits for another, and is given up after the plugins' time limit.
    """
    answers: list[Any] = [None] * len(questions)
    if questions:
        with calls.redirect_plugin_threads():
            pending = _OpenQuestions(questions, calls.get_time_limit())
            try:
                for index, answer in pending.iter_answers():
                    answers[index] = answer
            finally:  # also after Ctrl-C
                pending.stop()
    return answers


class _OpenQuestions:
    """The open questions by platform, and the threads that ask them."""

    def __init__(self, questions: Sequence[PlatformQuestion], limit: float) -> None:
        self._questions, self._limit = questions, limit
        self._inbox: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._open: dict[str, set[int]] = {}
        for index, question in enumerate(questions):
            self._open.setdefault(question.platform, set()).add(index)
        self._workers = [worker for indices in self._open.values() for worker in self._start_workers(sorted(indices))]
        self._answered_at = dict.fromkeys(self._open, time.monotonic())

    def iter_answers(self) -> Iterable[tuple[int, Any]]:
        """Yield the index of each question and its answer, as they arrive."""
        while self._open:
            due = min(self._answered_at[platform] for platform in self._open) + self._limit
            try:
                index, answer = self._inbox.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                yield from self._give_up_overdue()
                continue
            platform = self._questions[index].platform
            if platform in self._open:  # else it was just given up
                self._answered_at[platform] = time.monotonic()
                self._open[platform].discard(index)
                if not self._open[platform]:
                    del self._open[platform]
                yield index, answer

    def stop(self) -> None:
        """Abandon all threads."""
        for worker in self._workers:
            worker.abandon()

    def _give_up_overdue(self) -> Iterable[tuple[int, Any]]:
        now = time.monotonic()
        for platform in [one for one in self._open if now >= self._answered_at[one] + self._limit]:
            for index in self._open.pop(platform):
                yield index, PlatformSilence(f"{platform} did not answer within {self._limit:g} s")

    def _start_workers(self, indices: list[int]) -> list[PluginCall[None]]:
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in indices:
            todo.put(index)
        workers = [PluginCall(functools.partial(self._answer_all, todo)) for _ in range(min(MAX_WORKERS, len(indices)))]
        for worker in workers:
            worker.start()
        return workers

    def _answer_all(self, todo: queue.SimpleQueue[int]) -> None:
        while True:
            try:
                index = todo.get_nowait()
            except queue.Empty:
                return
            self._inbox.put((index, _answer_question(self._questions[index])))


def _answer_question(question: PlatformQuestion) -> Any:
    try:
        return question.ask()
    except RunGone as error:
        return PlatformSilence(describe_exception(error), gone=True)
    except Rejected as rejected:
        return PlatformSilence(describe_exception(rejected), problem=rejected.problems[0])
    except BaseException as error:  # whatever a plugin raises: other runs are still shown
        return PlatformSilence(describe_exception(error))


DEFAULT_NUMBER = 50
MAX_EXAMINED = 500
"""How many runs are asked for their state at most, unless all are listed."""
TAIL_LINES = 200
"""How many last lines of a log are searched for the newest step and loss."""
LISTED_STATES = (*get_args(RunState), "sending", "interrupted", "gone", "broken", "unknown")
"""The states of a run, and: being submitted, submit interrupted, unknown to its platform, record unreadable, platform
silent.
"""
INTERRUPTED_REASON = "its submit was interrupted; `robotrain status {}` looks it up"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """The runs to list."""

    number: int | None = DEFAULT_NUMBER
    """How many at most; None for all."""
    state: str = ""
    platform: str = ""


@dataclass(slots=True, kw_only=True)
class ListedRun:
    """A run in the list; its progress is what the end of its log says."""

    run: str
    state: str
    reason: str = ""
    record: RunRecord | None = None
    status: Status | None = None
    no_answer: PlatformSilence | None = None
    """Set when the platform did not return the state; then an end that was seen before counts."""
    step: int | None = None
    total: int | None = None
    unit: str = "step"
    loss: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    conditions: str = ""


def list_runs(run_filter: RunFilter, plugins: Plugins) -> tuple[list[ListedRun], bool]:
    """Return the selected runs, newest first, and whether there may be more."""
    names = records.iterate_runs()
    selected: list[ListedRun] = []
    examined = 0
    while run_filter.number is None or len(selected) < run_filter.number:
        size = run_filter.number or MAX_EXAMINED
        batch = list(itertools.islice(_read_records(names, run_filter.platform), size))
        if not batch:
            break
        examined += len(batch)
        _ask_states(batch, plugins)
        selected += [one for one in batch if run_filter.state in ("", one.state)]
        if run_filter.number is not None and examined >= max(MAX_EXAMINED, run_filter.number):
            break
    selected = selected[: run_filter.number]
    _ask_progress(selected, plugins)
    return selected, run_filter.number is not None and next(names, None) is not None


def find_silent_platforms(listed_runs: Sequence[ListedRun]) -> Iterator[Problem]:
    """Yield a warning for each reason why a platform did not return the state of runs."""
    groups: dict[tuple[str, str], list[ListedRun]] = {}
    for one in listed_runs:
        if one.no_answer and one.record:
            problem = one.no_answer.problem
            groups.setdefault((one.record.platform, (problem and problem.why) or one.no_answer.why), []).append(one)
    for (platform, reason), runs in groups.items():
        problem = runs[0].no_answer and runs[0].no_answer.problem
        yield Problem(
            code="platform-silent",
            stage=Stage.SUBMIT,
            severity="warning",
            title=f"{platform} does not return the status of {runs[0].run if len(runs) == 1 else f'{len(runs)} runs'}",
            why=f"{reason.rstrip('.')}.",
            suggestions=problem.suggestions if problem else (),
        )


def find_unfinished_runs(plugins: Plugins) -> tuple[list[ListedRun], list[ListedRun]]:
    """Return the newest runs that have not ended, and those whose state is unknown."""
    batch = list(itertools.islice(_read_records(records.iterate_runs(), ""), MAX_EXAMINED))
    _ask_states(batch, plugins)
    unknown = [one for one in batch if one.state == "unknown"]
    return [one for one in batch if one.state in ("pending", "running")], unknown


def _read_records(names: Iterator[str], platform: str) -> Iterator[ListedRun]:
    """Read records lazily."""
    for name in names:
        try:
            record = records.read_record(name)
        except records.UnknownRun:  # removed meanwhile
            continue
        except Rejected as rejected:
            if not platform:
                yield ListedRun(run=name, state="broken", reason=_describe_broken_record(rejected))
            continue
        if platform in ("", record.platform):
            yield _make_listed_run(record)


def _make_listed_run(record: RunRecord) -> ListedRun:
    if record.phase != "sending":
        return ListedRun(run=record.run, state="unknown", record=record)
    if name_lock.is_being_submitted(record.run):
        return ListedRun(run=record.run, state="sending", record=record)
    return ListedRun(run=record.run, state="interrupted", reason=INTERRUPTED_REASON.format(record.run), record=record)


def _describe_broken_record(rejected: Rejected) -> str:
    """Return why a record is broken, and what to type."""
    (problem, *_) = rejected.problems
    ways = "".join(f"; {way.text}" for way in problem.suggestions[:1])
    return f"{problem.why.rstrip('.') or problem.title}{ways}"


def _ask_states(batch: Sequence[ListedRun], plugins: Plugins) -> None:
    runs = [one for one in batch if one.state == "unknown"]
    for one, answer in zip(runs, ask_platforms(_make_questions(runs, plugins, "status")), strict=True):
        if isinstance(answer, Status):
            one.status, one.state, one.reason = answer, answer.state, answer.reason
            records.save_final_status(one.run, answer)
        elif isinstance(answer, PlatformSilence) and answer.gone:
            one.state, one.reason = "gone", answer.why
        elif isinstance(answer, PlatformSilence):
            one.reason, one.no_answer = answer.why, answer
            if status := records.read_final_status(one.run):
                one.status, one.state, one.reason = status, status.state, status.reason
        else:
            one.reason = f"{one.record.platform if one.record else ''} returned no status"


def _ask_progress(listed_runs: Sequence[ListedRun], plugins: Plugins) -> None:
    """Add the newest step and loss of runs whose platform returns a log."""
    runs = [one for one in listed_runs if one.status and not one.no_answer and one.state != "pending"]
    for one, answer in zip(runs, ask_platforms(_make_questions(runs, plugins, "progress")), strict=True):
        if isinstance(answer, progress.Progress):
            one.step, one.total = answer.step, answer.total
            one.unit = answer.unit
            if answer.evaluated:
                one.scores, one.conditions = answer.evaluated.scores, scores.format_conditions(answer.evaluated)
            elif answer.main_metric and answer.main_metric.kind == "score" and answer.curve:
                one.scores = {answer.main_metric.name: answer.curve[-1][1]}
            one.loss = answer.losses[-1][1] if answer.losses else None


def _make_questions(runs: Sequence[ListedRun], plugins: Plugins, subject: str) -> list[PlatformQuestion]:
    return [_make_question(one.record, plugins, subject) for one in runs if one.record]


def _make_question(record: RunRecord, plugins: Plugins, subject: str) -> PlatformQuestion:
    try:
        platform = plugins.platform(record.platform)
    except Rejected as rejected:
        failure = PlatformSilence(describe_exception(rejected))
        return PlatformQuestion(record.platform, lambda: failure)
    if subject == "status":
        return PlatformQuestion(record.platform, lambda: platform.status(record.reference))
    return PlatformQuestion(record.platform, lambda: _read_newest_progress(record, platform))


def _read_newest_progress(record: RunRecord, platform: Platform) -> progress.Progress:
    return progress.read_newest_progress(platform.logs(record.reference, follow=False, tail=TAIL_LINES), record.metrics)
