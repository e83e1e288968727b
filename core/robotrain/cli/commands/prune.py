"""`robotrain prune`: show and remove one run, old runs, or cached environments and data."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
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
from robotrain.errors import Rejected, Stage, raise_if_any
from robotrain.model import amounts
from robotrain.model.amounts import format_age
from robotrain.model.run import RemovedInPart, RunRecord, Status
from robotrain.plugins.manager import Plugins
from robotrain.store import name_index, name_lock, records, scratch, stored_job
from robotrain.store.latest_run import NEWEST_NAMES
from robotrain.store.prune import PruneCandidate, plan_pruning, select_old_runs
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
    states = run_filter.parse_states(state)
    of_runs = {"RUN": run, "--older-than": older_than, "--keep": keep is not None, "--state": state}
    of_runs["--platform"] = platform
    of_cache = {"--unused": unused, "--limit": limit}
    for flag, is_given in (of_runs if cache else of_cache).items():
        if is_given and cache:
            raise arguments.make_usage_error(
                f"{flag} cannot be used with --cache",
                "It chooses runs, and --unused and --limit do cached data.",
            )
        if is_given:
            raise arguments.make_usage_error(f"{flag} has no effect without --cache", "It is about the cache.")
    if not dry_run and (count := scratch.remove_scratch()):
        print_message(f"removed {count} temporary file{'' if count == 1 else 's'} of interrupted commands")
    if cache:
        prune_cache(unused, limit, yes, json, dry_run)
        return
    raise_if_any(list(run_filter.find_unknown_names(get_plugins(ctx), platform)))
    _prune_runs(get_plugins(ctx), run, older_than, keep, states, platform, yes, json, dry_run)


def _prune_runs(
    plugins: Plugins,
    run: str,
    older_than: str,
    keep: int | None,
    states: Sequence[str],
    platform: str,
    yes: bool,
    json: bool,
    dry_run: bool,
) -> None:
    """Show the run or the old runs to remove and their sizes, and remove them after confirmation."""
    if run:
        selecting_flags = {
            "--older-than": older_than,
            "--keep": keep is not None,
            "--state": bool(states),
            "--platform": platform,
        }
        run = _find_named_run(run, [flag for flag, is_given in selecting_flags.items() if is_given])
    span = arguments.parse_amount(amounts.parse_duration, older_than, "--older-than", "30d")
    if span is None and keep is None and not run:
        raise arguments.make_usage_error(
            "`robotrain prune` needs a run, --older-than, --keep or --cache",
            "Without one of them, nothing would be removed.",
            ("robotrain prune RUN", "one run"),
            ("robotrain prune --older-than 30d", "runs that ended more than 30 days ago"),
            ("robotrain prune --keep 20", "all but the newest 20"),
            ("robotrain prune --cache", "what no run uses of the cached environments and data"),
        )
    cutoff_time = None if span is None else time.time() - span
    candidates = PruneCandidates(plugins, cutoff_time, keep, states, platform, run)
    sizes = candidates.measure_sizes()
    if not json:
        _print_candidates(candidates, sizes, run)
    selected_runs = candidates.plan.removed
    if dry_run:
        print_message("dry run: nothing was removed")
    remove = bool(selected_runs) and not dry_run and arguments.confirm_removal(_count_runs(len(selected_runs)), yes)
    freed_by_run, in_part = candidates.remove_runs() if remove else ({}, [])
    if json:
        print_json(_dump_prune(candidates, sizes, freed_by_run, in_part))
    elif remove:
        freed_size = amounts.format_size(sum(size or 0 for size in freed_by_run.values()))
        print_result(f"{_count_runs(len(freed_by_run))} removed, {freed_size} freed")
    if (remove and len(freed_by_run) < len(selected_runs)) or (run and not selected_runs):
        raise typer.Exit(Stage.SUBMIT.exit_code)


MAX_NAMESAKES = 5
"""How many runs of one name are offered."""


def _describe_namesake(run: str) -> str:
    """Return what tells a run from others of its name: its name, how it ended, as far as that was seen, and its age."""
    record = records.find_readable_record(run)
    if record is None:
        return ""
    status = records.read_final_status(run)
    age = format_age(time.time() - record.created)
    return ", ".join(filter(None, (record.name, status.state if status else "", f"submitted {age}")))


def _find_named_run(text: str, flags: Sequence[str]) -> str:
    """Return the one run to remove that a text means. Raise Rejected beside options that choose several."""
    run = name_index.find_run(text)
    if text not in NEWEST_NAMES and not run.startswith(text) and records.read_record(run).name != text:
        way = f"robotrain prune {run}", "removes this run"
        raise arguments.make_usage_error(
            f"{text} is not the whole name of a run", "What is removed is named in full.", way
        )
    if flags:
        way = f"robotrain prune {run}", "removes this run only"
        raise arguments.make_usage_error(
            f"{flags[0]} cannot be used with a run to remove", "The run is named already.", way
        )
    if run != text and len(namesakes := name_index.find_named_runs(text)) > 1:
        ways = [(f"robotrain prune {namesake}", _describe_namesake(namesake)) for namesake in namesakes[:MAX_NAMESAKES]]
        raise arguments.make_usage_error(f"{len(namesakes)} runs have the name {text}", "Name one of them.", *ways)
    if records.is_step(run):
        pipeline = records.read_record(run).pipeline
        way = f"robotrain prune {pipeline}", "removes the pipeline with its steps"
        raise arguments.make_usage_error(f"{run} is a step of {pipeline}", "A step goes with its pipeline.", way)
    return run


def _count_runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


class PruneCandidates:
    """The selected runs, their states, and which of them are removed."""

    def __init__(
        self,
        plugins: Plugins,
        before: float | None,
        keep: int | None,
        states: Sequence[str],
        platform: str,
        only: str,
    ) -> None:
        self._plugins = plugins
        self._named = only
        self.records: dict[str, RunRecord] = {}
        self._unreadable: dict[str, str] = {}
        run_names = [only] if only else records.iterate_runs(with_steps=False)
        runs = [run for run in run_names if self._read_record(run, platform)]
        candidates_by_run: dict[str, PruneCandidate] = {}
        if states:  # all are asked, to count the newest in these states
            candidates_by_run = self._query_statuses(runs)
            runs = [run for run in runs if _format_state(candidates_by_run[run]) in states]
        created = {run: record.created for run, record in self.records.items()}
        runs = select_old_runs(runs, created, cutoff_time=before, keep=keep or 0)
        candidates_by_run = candidates_by_run or self._query_statuses(runs)
        candidates = [candidates_by_run[run] for run in runs]
        self.plan = plan_pruning(candidates, {}, cutoff_time=before)
        if self.plan.removed:
            finished = [
                candidate.run
                for candidate in self.plan.removed
                if not (candidate.interrupted or self._keeps_outputs(candidate.run))
            ]
            outputs = self._query_platforms(
                finished,
                lambda record, platform: tuple(output.uri for output in platform.engine.outputs(record.reference)),
            )
            candidates = [_add_outputs(candidate, outputs.get(candidate.run)) for candidate in candidates]
            removed_runs = {candidate.run for candidate in self.plan.removed}
            used_sources = {
                run: [source.uri for source in stored_job.read_stored_sources(run)]
                for run in records.list_runs()
                if not (records.is_step(run) and records.read_record(run).pipeline in removed_runs)
            }
            self.plan = plan_pruning(candidates, used_sources, cutoff_time=before)

    def measure_sizes(self) -> dict[str, int | None]:
        """Return the bytes that each run would free; None where the platform keeps its outputs or does not answer."""
        answers = self._query_platforms(
            [
                candidate.run
                for candidate in self.plan.removed
                if not (candidate.gone or self._keeps_outputs(candidate.run))
            ],
            lambda record, platform: platform.engine.remove_outputs(record.reference, dry_run=True),
        )
        sizes = {
            candidate.run: answers.get(candidate.run, 0 if candidate.gone else None) for candidate in self.plan.removed
        }
        return {run: size if isinstance(size, int) else None for run, size in sizes.items()}

    def remove_runs(self) -> tuple[dict[str, int | None], list[str]]:
        """Remove the runs; return the bytes that each freed, without those that stay, and those removed in part."""
        freed_by_run: dict[str, int | None] = {}
        in_part: list[str] = []
        for candidate in self.plan.removed:
            record = self.records[candidate.run]
            try:
                platform, keeps = self._plugins.platform_of(record), self._keeps_outputs(candidate.run)
                freed_by_run[candidate.run] = interrupted_submit.remove_run(record, platform, keeps_outputs=keeps)
                print_message(f"removed {candidate.run}")
            except RemovedInPart as error:
                in_part.append(candidate.run)
                print_message(f"{candidate.run} was removed in part:")
                print_problems(error.problems)
            except Rejected as error:
                print_message(f"{candidate.run} was not removed: {describe_exception(error)}")
        return freed_by_run, in_part

    def _keeps_outputs(self, run: str) -> bool:
        """Return whether only the record of a run goes: one that was adopted is another machine's, unless it is named.

        Of a run that another user submitted the platform keeps the outputs even then.
        """
        return self.records[run].is_adopted and run != self._named

    def _read_record(self, run: str, platform: str) -> bool:
        """Read a run's record; return whether the run is on the selected platform."""
        try:
            self.records[run] = records.read_record(run)
        except Rejected as rejected:
            self._unreadable[run] = str(rejected)
            return not platform
        return platform in ("", self.records[run].platform)

    def _query_statuses(self, runs: Sequence[str]) -> dict[str, PruneCandidate]:
        recorded_runs = [run for run in runs if run in self.records]
        sent_runs = [run for run in recorded_runs if self.records[run].phase == "sent"]
        answers = self._query_platforms(
            [run for run in recorded_runs if run not in sent_runs], interrupted_submit.is_certainly_gone
        )
        answers |= zip(sent_runs, query_statuses([self.records[run] for run in sent_runs], self._plugins), strict=True)
        return {run: self._make_candidate(run, answers.get(run)) for run in runs}

    def _make_candidate(self, run: str, answer: Any) -> PruneCandidate:
        if run not in self.records:
            return PruneCandidate(run=run, created=0.0, reason=self._unreadable[run])
        created = self.records[run].created
        if self.records[run].phase == "sending":
            if name_lock.is_being_submitted(run):
                return PruneCandidate(run=run, created=created, reason="it is being submitted now")
            if answer is True:  # it left no run
                return PruneCandidate(run=run, created=created, gone=True, interrupted=True)
            reason = answer.why if isinstance(answer, FailedQuery) else describe_interrupted(run)
            return PruneCandidate(run=run, created=created, reason=reason, interrupted=True)
        if isinstance(answer, Status):
            return PruneCandidate(run=run, created=created, status=answer)
        if not isinstance(answer, FailedQuery):
            answer = FailedQuery("its platform returned no status")
        return PruneCandidate(run=run, created=created, reason=answer.why, gone=answer.gone)

    def _query_platforms(self, runs: Sequence[str], question: PlatformQuery) -> dict[str, Any]:
        return dict(
            zip(runs, query_platforms([self.records[run] for run in runs], self._plugins, question), strict=True)
        )


def _add_outputs(candidate: PruneCandidate, outputs: Any) -> PruneCandidate:
    """Add a run's outputs; where they are unknown, the run stays, since another may have started from them."""
    if isinstance(outputs, FailedQuery) and not outputs.gone:
        return replace(candidate, status=None, reason=f"its outputs are unknown: {outputs.why}")
    return replace(candidate, outputs=outputs if isinstance(outputs, tuple) else ())


def _format_state(candidate: PruneCandidate) -> str:
    if candidate.interrupted:
        return "interrupted"
    return "gone" if candidate.gone else candidate.status.state if candidate.status else "unknown"


def _print_candidates(candidates: PruneCandidates, sizes: dict[str, int | None], named_run: str) -> None:
    selected_runs, now = candidates.plan.removed, time.time()
    if selected_runs:
        rows = [("NAME", "RUN", "STATE", "PLATFORM", "ENDED", "SIZE")]
        for candidate in selected_runs:
            bytes = sizes[candidate.run]
            age = amounts.format_age(now - candidate.end_time)
            size = "-" if bytes is None else amounts.format_size(bytes)
            record = candidates.records[candidate.run]
            rows.append((record.name, candidate.run, _format_state(candidate), record.platform, age, size))
        has_names = any(name for name, *_ in rows[1:])
        print_result(format_table(rows if has_names else [row[1:] for row in rows]))
        total = amounts.format_size(sum(size or 0 for size in sizes.values()))
        print_message(f"{_count_runs(len(selected_runs))}, {total}")
    elif not named_run:
        print_message("no run is old enough to be removed")
    for run, reason in candidates.plan.kept_reasons.items():
        print_message(f"{run} stays: {reason}")
    if selected_runs and None in sizes.values():
        remark = "their outputs stay; only the record on this machine is removed"
        print_message(f"runs without a size: {remark}")


def _dump_prune(
    candidates: PruneCandidates,
    sizes: dict[str, int | None],
    freed_by_run: dict[str, int | None],
    in_part: Sequence[str],
) -> dict[str, Any]:
    """Return the result as data; the keys are an API."""
    return {
        "runs": [
            {
                "run": candidate.run,
                "platform": candidates.records[candidate.run].platform,
                "state": _format_state(candidate),
                "ended": candidate.end_time,
                "bytes": sizes[candidate.run],
                "removed": candidate.run in freed_by_run,
                "removed_in_part": candidate.run in in_part,
            }
            for candidate in candidates.plan.removed
        ],
        "staying": [{"run": run, "why": reason} for run, reason in candidates.plan.kept_reasons.items()],
    }


app = make_app(prune)
