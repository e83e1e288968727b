"""`robotrain prune`: show and remove one run, old runs, or cached environments and data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from robotrain.cli import arguments
from robotrain.cli.arguments import (
    JsonOption,
    PruneDryRunOption,
    YesOption,
    argument,
    complete_platforms,
    complete_run_names,
    option,
)
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.commands.prune_cache import prune_cache
from robotrain.cli.output import (
    describe_exception,
    format_table,
    print_json,
    print_message,
    print_problems,
    print_result,
)
from robotrain.cli.run_list import run_filter
from robotrain.cli.run_list.listed_runs import describe_interrupted
from robotrain.cli.run_list.platform_queries import FailedQuery, PlatformQuery, query_platforms, query_statuses
from robotrain.errors import Rejected, Stage
from robotrain.model import amounts
from robotrain.model.platform import Platform
from robotrain.model.run import RemovedInPart, RunRecord, Status
from robotrain.plugins.manager import Plugins
from robotrain.store import name_index, name_lock, records, scratch, stored_job
from robotrain.store.latest_run import NEWEST_NAMES
from robotrain.submission import interrupted_submit

TIME_HELP = "Runs that ended this long ago: 30d, 12h."
STATE_HELP = "Only runs in these states: failed,cancelled."
CACHE_HELP = "Cached environments and data instead of runs; what a run uses stays."
UNUSED_HELP = "With --cache: only what no run used for this long: 30d, 12h."
LIMIT_HELP = "With --cache: only the least recently used, until this much remains: 50GB."


def prune(
    ctx: typer.Context,
    run: Annotated[str, argument("[RUN]", "The run to remove, by its whole name.", complete_run_names)] = "",
    older_than: Annotated[str, option("--older-than", "TIME", TIME_HELP)] = "",
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, metavar="INT", help="All but this many of the newest.")
    ] = None,
    state: Annotated[str, option("--state", "STATE", STATE_HELP, run_filter.complete_states)] = "",
    platform: Annotated[str, option("--platform", "NAME", "Only runs on this platform.", complete_platforms)] = "",
    cache: Annotated[bool, typer.Option("--cache", help=CACHE_HELP)] = False,
    unused: Annotated[str, option("--unused", "TIME", UNUSED_HELP)] = "",
    limit: Annotated[str, option("--limit", "SIZE", LIMIT_HELP)] = "",
    dry_run: PruneDryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Remove a run, old runs, or cached environments and data; asks first.

    robotrain prune --older-than 30d

    robotrain prune --cache --unused 30d
    """
    states, plugins = run_filter.parse_states(state), get_plugins(ctx)
    choosing = {"--older-than": older_than, "--keep": keep is not None, "--state": state, "--platform": platform}
    run_flags = [flag for flag, is_given in choosing.items() if is_given]
    cache_flags = [flag for flag, is_given in {"--unused": unused, "--limit": limit}.items() if is_given]
    if cache and (run or run_flags):
        reason = "It chooses runs, and --unused and --limit do cached data."
        raise arguments.make_usage_error(f"{'RUN' if run else run_flags[0]} cannot be used with --cache", reason)
    if cache_flags and not cache:
        raise arguments.make_usage_error(f"{cache_flags[0]} has no effect without --cache", "It is about the cache.")
    if not dry_run and (count := scratch.remove_scratch()):
        print_message(f"removed {count} temporary file{'' if count == 1 else 's'} of interrupted commands")
    if cache:
        return prune_cache(unused, limit, yes, json, dry_run)
    if run:
        run = _find_named_run(run, run_flags)
    span = arguments.parse_amount(amounts.parse_duration, older_than, "--older-than", "30d")
    if span is None and keep is None and not run:
        raise arguments.make_usage_error(
            "`robotrain prune` needs a run, --older-than, --keep or --cache",
            "Without one of them, nothing would be removed.",
            ("robotrain prune --help", "explains its options"),
        )
    read_candidates, unreadable = _read_candidates(run, platform)
    cutoff_time = None if span is None else time.time() - span
    candidates = _select_candidates(read_candidates, states, keep or 0, cutoff_time, plugins)
    selected = [candidate for candidate in candidates if not candidate.reason]
    staying = {candidate.run: candidate.reason for candidate in candidates if candidate.reason}
    if not (platform or states):
        staying |= unreadable
    if not json:
        _print_candidates(selected, staying, run)
    if dry_run:
        print_message("dry run: nothing was removed")
    remove = bool(selected) and not dry_run and arguments.confirm_removal(_count_runs(len(selected)), yes)
    if remove:
        for candidate in selected:
            _remove_run(candidate, plugins)
    removed = [candidate for candidate in selected if candidate.is_removed]
    if json:
        print_json(_dump_candidates(selected, staying))
    elif remove:
        freed_size = amounts.format_size(sum(candidate.freed or 0 for candidate in removed))
        print_result(f"{_count_runs(len(removed))} removed, {freed_size} freed")
    if (remove and len(removed) < len(selected)) or (run and not selected):
        raise typer.Exit(Stage.SUBMIT.exit_code)


def _find_named_run(text: str, flags: Sequence[str]) -> str:
    """Return the one run to remove that a text means. Raise Rejected beside options that choose several."""
    run = name_index.find_run(text)
    way = f"robotrain prune {run}", "removes this run only"
    if text not in NEWEST_NAMES and not run.startswith(text) and records.read_record(run).name != text:
        reason = "What is removed is named in full."
        raise arguments.make_usage_error(f"{text} is not the whole name of a run", reason, way)
    if flags:
        reason = "The run is named already."
        raise arguments.make_usage_error(f"{flags[0]} cannot be used with a run to remove", reason, way)
    if run != text and len(namesakes := name_index.find_named_runs(text)) > 1:
        reason = f"Name one of them: {', '.join(namesakes)}."
        raise arguments.make_usage_error(f"{len(namesakes)} runs have the name {text}", reason)
    if records.is_step(run):
        pipeline = records.read_record(run).pipeline
        way = f"robotrain prune {pipeline}", "removes the pipeline with its steps"
        raise arguments.make_usage_error(f"{run} is a step of {pipeline}", "A step goes with its pipeline.", way)
    return run


def _count_runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


@dataclass
class PruneCandidate:
    """A run that is removed, unless there is a reason why it stays."""

    run: str
    record: RunRecord
    keeps_outputs: bool = False
    """Whether only its record goes: a run that was adopted is another machine's, unless it is named. Of a run that
    another user submitted the platform keeps the outputs even then.
    """
    reason: str = ""
    """Why it stays."""
    status: Status | None = None
    is_gone: bool = False
    """Whether the platform no longer knows it."""
    is_interrupted: bool = False
    """Whether its submit was interrupted."""
    outputs: tuple[str, ...] = ()
    """The addresses of its outputs."""
    size: int | None = None
    """The bytes that its removal frees; None where the platform keeps its outputs or does not answer."""
    is_removed: bool = False
    is_removed_in_part: bool = False
    freed: int | None = None

    @property
    def end_time(self) -> float:
        """Seconds since the epoch; the time of the submit if the end is unknown."""
        return (self.status.ended if self.status else None) or self.record.created

    @property
    def state(self) -> str:
        """How it ended, as far as that is known."""
        if self.is_interrupted:
            return "interrupted"
        return "gone" if self.is_gone else self.status.state if self.status else "unknown"


def _read_candidates(run: str, platform: str) -> tuple[list[PruneCandidate], dict[str, str]]:
    """Return the named run, or all on a platform, newest first, and why records cannot be read."""
    candidates, unreadable = list[PruneCandidate](), {}
    for name in [run] if run else records.iterate_runs(with_steps=False):
        try:
            record = records.read_record(name)
        except Rejected as rejected:
            unreadable[name] = str(rejected)
            continue
        if platform in ("", record.platform):
            candidates.append(PruneCandidate(name, record, keeps_outputs=record.is_adopted and name != run))
    return candidates, unreadable


def _select_candidates(
    candidates: list[PruneCandidate], states: Sequence[str], keep: int, cutoff_time: float | None, plugins: Plugins
) -> list[PruneCandidate]:
    """Return the runs that are old enough: those without a reason to stay are removed."""
    if states:  # all are asked, to count the newest in these states
        _ask_states(candidates, plugins)
        candidates = [candidate for candidate in candidates if candidate.state in states]
    candidates = [
        candidate for candidate in candidates[keep:] if cutoff_time is None or candidate.record.created < cutoff_time
    ]
    if not states:
        _ask_states(candidates, plugins)
    candidates = [
        candidate
        for candidate in candidates
        if cutoff_time is None or candidate.reason or candidate.is_gone or candidate.end_time < cutoff_time
    ]
    ended = [candidate for candidate in candidates if not (candidate.is_interrupted or candidate.keeps_outputs)]
    for candidate, outputs in _ask_platforms(ended, plugins, _list_addresses):
        if not isinstance(outputs, FailedQuery):
            candidate.outputs = outputs
        elif not outputs.gone:  # another run may have started from them
            candidate.reason = f"its outputs are unknown: {outputs.why}"
    _keep_needed_runs(candidates)
    for candidate in candidates:
        candidate.size = 0 if candidate.is_gone else None
    measured = [candidate for candidate in candidates if not (candidate.is_gone or candidate.keeps_outputs)]
    for candidate, size in _ask_platforms(measured, plugins, _measure_size):
        candidate.size = size if isinstance(size, int) else None
    return candidates


def _ask_platforms(
    candidates: Sequence[PruneCandidate], plugins: Plugins, question: PlatformQuery
) -> list[tuple[PruneCandidate, Any]]:
    """Return the answers about the runs that have no reason to stay."""
    asked = [candidate for candidate in candidates if not candidate.reason]
    answers = query_platforms([candidate.record for candidate in asked], plugins, question)
    return [*zip(asked, answers, strict=True)]


def _list_addresses(record: RunRecord, platform: Platform) -> tuple[str, ...]:
    return tuple(output.uri for output in platform.engine.outputs(record.reference))


def _measure_size(record: RunRecord, platform: Platform) -> int | None:
    return platform.engine.remove_outputs(record.reference, dry_run=True)


def _ask_states(candidates: Sequence[PruneCandidate], plugins: Plugins) -> None:
    """Ask platforms whether runs have ended; those that are not known to have ended stay."""
    sent = [candidate for candidate in candidates if candidate.record.phase == "sent"]
    answers = query_statuses([candidate.record for candidate in sent], plugins)
    for candidate, answer in zip(sent, answers, strict=True):
        if isinstance(answer, Status):
            candidate.status = answer
            candidate.reason = "" if answer.finished else f"it is {answer.state}"
        elif isinstance(answer, FailedQuery):
            candidate.is_gone, candidate.reason = answer.gone, "" if answer.gone else answer.why
        else:
            candidate.reason = "its platform returned no status"
    for candidate in candidates:
        if candidate.record.phase == "sending":
            candidate.is_interrupted = not name_lock.is_being_submitted(candidate.run)
            candidate.reason = "" if candidate.is_interrupted else "it is being submitted now"
    interrupted = [candidate for candidate in candidates if candidate.is_interrupted]
    for candidate, answer in _ask_platforms(interrupted, plugins, interrupted_submit.is_certainly_gone):
        candidate.is_gone = answer is True  # it left no run
        if not candidate.is_gone:
            is_silent = isinstance(answer, FailedQuery)
            candidate.reason = answer.why if is_silent else describe_interrupted(candidate.run)


def _keep_needed_runs(candidates: Sequence[PruneCandidate]) -> None:
    """Give a reason to stay to each run that a remaining run was started from, also as a step of a pipeline."""
    sources = [
        (records.read_record(run).pipeline if records.is_step(run) else run, source.uri)
        for run in records.list_runs()
        for source in stored_job.read_stored_sources(run)
    ]
    removed = {candidate.run: candidate for candidate in candidates if not candidate.reason}
    while users := {  # each run that stays may need another one
        run: user
        for run, candidate in removed.items()
        for user, uri in sources
        if user not in removed and any(_overlaps(uri, output) for output in candidate.outputs)
    }:
        for run, user in users.items():
            removed.pop(run).reason = f"{user} was started from it"


def _overlaps(uri: str, output: str) -> bool:
    """Return whether two addresses are equal, or one is below the other."""
    uri, output = f"{uri.rstrip('/')}/", f"{output.rstrip('/')}/"
    return uri.startswith(output) or output.startswith(uri)


def _remove_run(candidate: PruneCandidate, plugins: Plugins) -> None:
    """Remove a run, and print what became of it."""
    try:
        platform = plugins.platform_of(candidate.record)
        candidate.freed = interrupted_submit.remove_run(
            candidate.record, platform, keeps_outputs=candidate.keeps_outputs
        )
        candidate.is_removed = True
        print_message(f"removed {candidate.run}")
    except RemovedInPart as error:
        candidate.is_removed_in_part = True
        print_message(f"{candidate.run} was removed in part:")
        print_problems(error.problems)
    except Rejected as error:
        print_message(f"{candidate.run} was not removed: {describe_exception(error)}")


def _print_candidates(selected: Sequence[PruneCandidate], staying: Mapping[str, str], named_run: str) -> None:
    now = time.time()
    if selected:
        rows = [("NAME", "RUN", "STATE", "PLATFORM", "ENDED", "SIZE")]
        for candidate in selected:
            age = amounts.format_age(now - candidate.end_time)
            size = "-" if candidate.size is None else amounts.format_size(candidate.size)
            rows.append((candidate.record.name, candidate.run, candidate.state, candidate.record.platform, age, size))
        has_names = any(name for name, *_ in rows[1:])
        print_result(format_table(rows if has_names else [row[1:] for row in rows]))
        total = amounts.format_size(sum(candidate.size or 0 for candidate in selected))
        print_message(f"{_count_runs(len(selected))}, {total}")
    elif not named_run:
        print_message("no run is old enough to be removed")
    for run, reason in staying.items():
        print_message(f"{run} stays: {reason}")
    if any(candidate.size is None for candidate in selected):
        print_message("runs without a size: their outputs stay; only the record on this machine is removed")


def _dump_candidates(selected: Sequence[PruneCandidate], staying: Mapping[str, str]) -> dict[str, Any]:
    """Return the result as data; the keys are an API."""
    return {
        "runs": [
            {
                "run": candidate.run,
                "platform": candidate.record.platform,
                "state": candidate.state,
                "ended": candidate.end_time,
                "bytes": candidate.size,
                "removed": candidate.is_removed,
                "removed_in_part": candidate.is_removed_in_part,
            }
            for candidate in selected
        ],
        "staying": [{"run": run, "why": reason} for run, reason in staying.items()],
    }


app = make_app(prune)
