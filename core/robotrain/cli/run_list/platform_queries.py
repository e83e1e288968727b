"""Queries of platforms about recorded runs, made in parallel, each with a time limit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.deadline import DeadlineExceeded

from robotrain import network_deadline
from robotrain.cli.output import describe_exception
from robotrain.errors import Problem, Rejected
from robotrain.model.platform import Platform, PlatformEngine, has_own_method
from robotrain.model.reference import Reference
from robotrain.model.run import RunGone, RunRecord, Status
from robotrain.plugins.manager import Plugins
from robotrain.store import records


class FailedQuery(NamedTuple):
    """Stands for an answer that a platform did not give."""

    why: str
    gone: bool = False
    """Whether the platform no longer knows the run."""
    problem: Problem | None = None
    """The problem that the platform reported."""
    is_transient: bool = False
    """Whether the platform does not answer any query at present."""


PlatformQuery = Callable[["RunRecord", "Platform"], Any]
"""A function that queries a platform about a run."""


Questions = dict[str, dict[int, Callable[[], Any]]]
"""Calls by platform and index."""


def query_platforms(
    runs: Sequence[RunRecord], plugins: Plugins, question: PlatformQuery, workers: int = network_deadline.MAX_WORKERS
) -> list[Any]:
    """Return the answer about each run, a FailedQuery for each missing one.

    Each platform has its own threads, so that none waits for another, and is given up when it is silent.
    """
    answers: list[Any] = [None] * len(runs)
    questions: Questions = {}
    for index, record in enumerate(runs):
        try:
            run_question = functools.partial(question, record, plugins.platform_of(record))
            questions.setdefault(record.platform, {})[index] = run_question
        except Rejected as rejected:
            answers[index] = FailedQuery(describe_exception(rejected))
    for index, answer in _collect_answers(questions, workers).items():
        answers[index] = answer
    return answers


def query_statuses(runs: Sequence[RunRecord], plugins: Plugins) -> list[Any]:
    """Return the status of each run as `query_platforms` does; an engine that can list its runs is asked once."""
    answers = _query_listings(runs, plugins)
    unlisted_indexes = [index for index in range(len(runs)) if index not in answers]
    single_answers = query_platforms([runs[index] for index in unlisted_indexes], plugins, _query_status)
    answers |= zip(unlisted_indexes, single_answers, strict=True)
    return [answers[index] for index in range(len(runs))]


def _query_listings(runs: Sequence[RunRecord], plugins: Plugins) -> dict[int, Any]:
    """Return what lists tell by the index of the run; of runs that ended without success, their stored status."""
    index_groups: list[list[int]] = []
    questions: Questions = {}
    for name in dict.fromkeys(record.platform for record in runs):
        group = [index for index, record in enumerate(runs) if record.platform == name and not record.steps]
        if len(group) > 1 and can_list(name, plugins):
            references = [runs[index].reference for index in group]
            questions[name] = {len(index_groups): functools.partial(_list_statuses, plugins.platform(name), references)}
            index_groups.append(group)
    answers_by_index: dict[int, Any] = {}
    for number, answer in _collect_answers(questions).items():
        if isinstance(answer, FailedQuery):  # one that only cannot list is asked about each run
            answers_by_index |= dict.fromkeys(index_groups[number], answer) if answer.is_transient else {}
            continue
        for index, status in zip(index_groups[number], answer, strict=False):
            is_unsuccessful = isinstance(status, Status) and status.finished and status.state != "succeeded"
            latest_status = records.read_final_status(runs[index].run) if is_unsuccessful else status
            answers_by_index |= {index: latest_status} if latest_status else {}
    return answers_by_index


def _query_status(record: RunRecord, platform: Platform) -> Status:
    """Return the status of a run. Raise TypeError for anything else that a plugin answers: other runs are shown."""
    status = platform.engine.status(record.reference)
    if not isinstance(status, Status):
        raise TypeError(f"{type(status).__name__} is no status")
    return status


def _list_statuses(platform: Platform, references: Sequence[Reference]) -> list[Any]:
    return list(platform.engine.list_statuses(references))  # a plugin may yield them


def can_list(platform: str, plugins: Plugins) -> bool:
    """Return whether the engine of a platform can list its runs."""
    try:
        return has_own_method(plugins.platform(platform).engine, PlatformEngine, "list_statuses")
    except Rejected:  # `query_platforms` reports it
        return False


def _collect_answers(platform_questions: Questions, workers: int = network_deadline.MAX_WORKERS) -> dict[int, Any]:
    """Return the answers by the index of the question."""
    if not platform_questions:
        return {}
    limit = network_deadline.get_limit(network_deadline.SHORT_SECONDS)
    answer_groups = network_deadline.ask_all(
        [[*questions.values()] for questions in platform_questions.values()], limit, workers
    )
    return {
        index: answer.value if answer.error is None else _explain_failure(platform, answer.error, limit)
        for (platform, questions), group in zip(platform_questions.items(), answer_groups, strict=True)
        for index, answer in zip(questions, group, strict=True)
    }


def _explain_failure(platform: str, error: BaseException, limit: float) -> FailedQuery:
    if isinstance(error, DeadlineExceeded):
        return FailedQuery(f"{platform} did not answer within {limit:g} s", is_transient=True)
    if not isinstance(error, Rejected):  # whatever a plugin raises: other runs are still shown
        return FailedQuery(describe_exception(error))
    is_gone = isinstance(error, RunGone)
    return FailedQuery(describe_exception(error), is_gone, None if is_gone else error.problems[0], error.transient)
