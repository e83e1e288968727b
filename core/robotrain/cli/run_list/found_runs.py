"""Runs as their platforms list them, whichever machine submitted them, with the records that this machine has."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

from robotrain_runtime.contract.deadline import DeadlineExceeded

from robotrain import network_deadline
from robotrain.cli.output import describe_exception
from robotrain.cli.run_list.listed_runs import ListedRun, RecordFilter
from robotrain.cli.run_list.run_filter import RunFilter
from robotrain.cluster.settings import read_configured_settings
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.job import parse_workload
from robotrain.model.platform import Platform, has_own_method
from robotrain.model.platform_features import SharedRuns
from robotrain.model.platform_loading import PlatformNotLoaded
from robotrain.model.run import RunRecord
from robotrain.model.submitted_run import ListedSubmission
from robotrain.plugins.manager import Plugins
from robotrain.store import records

make_problem = Messages(__file__)

RecordedNames = Mapping[str, Sequence[str]]
"""The runs that are recorded here, by their job: the name without the number of the attempt."""


class PlatformOutcome(NamedTuple):
    """What became of the question to a platform."""

    platform: str
    outcome: Literal["listed", "silent", "not-set-up", "cannot-list"]
    reason: str = ""


def list_found_runs(
    plugins: Plugins, record_filter: RunFilter, everyone: bool, number: int | None
) -> tuple[list[ListedRun], list[PlatformOutcome], list[Problem], bool]:
    """Return the runs that platforms have, newest first; what each answered, with problems; whether there are more.

    Raise Rejected if no platform could be asked, or none answered.

    :param number: how many at most; None for all.
    """
    platform, accept = record_filter.platform, record_filter.make_accept(plugins)
    platforms = {platform: plugins.platform(platform)} if platform else plugins.platforms()
    listing_platforms = [candidate for candidate in platforms.values() if _can_list(candidate)]
    answers = [
        PlatformOutcome(name, "cannot-list")
        for name, candidate in platforms.items()
        if candidate not in listing_platforms
    ]
    names_by_job = defaultdict[str, list[str]](list)
    for name in records.iterate_runs():
        names_by_job[_get_job(name)].append(name)
    runs_by_platform = [list[ListedRun]() for _ in listing_platforms]
    questions = [
        [partial(_collect_runs, candidate, everyone, number, record_filter, accept, names_by_job, found_runs)]
        for candidate, found_runs in zip(listing_platforms, runs_by_platform, strict=True)
    ]
    limit = network_deadline.get_limit(network_deadline.LONG_SECONDS)
    problems: list[Problem] = []
    for candidate, [reply] in zip(listing_platforms, network_deadline.ask_all(questions, limit), strict=True):
        if reply.error is not None:
            problems.append(_make_silence_problem(candidate.name, reply.error, limit))
            answers.append(PlatformOutcome(candidate.name, "silent", problems[-1].why))
        else:
            answers.append(PlatformOutcome(candidate.name, "listed" if reply.value else "not-set-up"))
    copies = [[*found_runs] for found_runs in runs_by_platform]  # a question that was given up may go on
    all_runs = [found_run for found_runs in copies for found_run in found_runs]
    if not all_runs and not any(answer.outcome == "listed" for answer in answers):
        raise Rejected([replace(problem, severity="error") for problem in problems] or [*_explain_nothing(answers)])
    all_runs.sort(key=_get_creation, reverse=True)
    silent_platforms = {answer.platform for answer in answers if answer.outcome == "silent"}
    has_more = number is not None and len(all_runs) > number
    return (
        all_runs[:number],
        answers,
        problems,
        has_more or any(run.record and run.record.platform in silent_platforms for run in all_runs),
    )


def _get_creation(run: ListedRun) -> float:
    return run.record.created if run.record else 0.0


def _can_list(platform: Platform) -> bool:
    """Return whether the engine of a platform lists runs; one that cannot be loaded is asked, and says so."""
    try:
        return has_own_method(platform.engine, SharedRuns, "list_submitted")
    except PlatformNotLoaded:
        return True


def _collect_runs(
    platform: Platform,
    everyone: bool,
    number: int | None,
    record_filter: RunFilter,
    accept: RecordFilter | None,
    names_by_job: RecordedNames,
    found_runs: list[ListedRun],
) -> bool:
    """Add the runs that a platform lists, one more than the wanted number; return whether it is set up. Raise Rejected.

    What is found stays if the platform falls silent.
    """
    settings: Any = read_configured_settings(platform.settings, platform.name, with_terraform=True)
    if (submitted_runs := platform.get_engine_for(SharedRuns).list_submitted(settings, everyone)) is None:
        return False
    states, begin_time = record_filter.states, record_filter.find_begin()
    for submitted_run in submitted_runs:
        if submitted_run.created is not None and submitted_run.created < begin_time:  # the newest came first
            break
        run = _describe_run(platform.name, submitted_run, names_by_job.get(_get_job(submitted_run.run), ()))
        if (not states or run.state in states) and (accept is None or (run.record and accept(run.record))):
            found_runs.append(run)
            if number is not None and len(found_runs) > number:
                break
    return True


def _describe_run(platform: str, listed: ListedSubmission, names: Sequence[str]) -> ListedRun:
    interrupted_record: RunRecord | None = None
    for name in names:
        with contextlib.suppress(Rejected):  # a record that cannot be read, or was removed
            record = records.read_record(name)
            if record.platform == platform and record.phase == "sending" and name == listed.run:
                interrupted_record = record  # `status` asks for it, and completes it
            if record.platform == platform and record.phase == "sent" and records.refers_to(record, listed.keys):
                final_status = records.read_final_status(name)
                state = final_status.state if final_status else listed.state
                return ListedRun(run=record.run, state=state, record=record, submission=listed)
    record = interrupted_record or RunRecord(
        run=listed.run,
        platform=platform,
        phase="sent",
        job="",
        plan="",
        created=listed.created or 0.0,
        workload=parse_workload(listed.run),
        settings={},
        reference=listed.keys,
    )
    return ListedRun(run=listed.run, state=listed.state, record=record, submission=listed, is_recorded=False)


def _get_job(run: str) -> str:
    """Return the name of a run without the number of its attempt."""
    return run.rpartition("-")[0]


def _make_silence_problem(platform: str, error: BaseException, limit: float) -> Problem:
    """Return the warning that a platform did not list its runs."""
    problem = error.problems[0] if isinstance(error, Rejected) else None
    if isinstance(error, DeadlineExceeded):
        reason = f"It gave no answer in {limit:g} s"
    else:
        reason = (problem and (problem.why or problem.title)) or describe_exception(error)
    ways = problem.suggestions if problem else ()
    return make_problem("platform-away.unlisted", *ways, platform=platform, reason=reason.rstrip("."))


def _explain_nothing(answers: Sequence[PlatformOutcome]) -> Iterator[Problem]:
    """Yield why none of the platforms was asked."""
    for answer in answers:
        message = "runs-not-listed.not-set-up" if answer.outcome == "not-set-up" else "runs-not-listed.cannot-list"
        yield make_problem(message, platform=answer.platform)
    if not answers:
        yield make_problem("runs-not-listed.no-platform")
