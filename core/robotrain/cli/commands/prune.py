"""`robotrain runs --prune`: which old runs would go, and removing them."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli import arguments
from robotrain.cli.app import get_plugins
from robotrain.cli.output import describe_exception, print_json, print_message, print_result
from robotrain.cli.watch.run_list import PlatformQuestion, PlatformSilence, ask_platforms
from robotrain.errors import Rejected, Stage
from robotrain.model import amounts
from robotrain.model.run import Status
from robotrain.store import name_lock, prune, records
from robotrain.submission import reconcile

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins
    from robotrain.store.prune import PruneCandidate, PrunePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneSelection:
    """Which runs. older_than: a span of time. keep: how many of the newest stay. state, platform: only so."""

    older_than: str = ""
    keep: int | None = None
    state: str = ""
    platform: str = ""


def check_prune_options(prune: bool, *others: tuple[str, Any]) -> None:
    """Raises Rejected for options of --prune that were given without it."""
    for flag, value in others:
        if not prune and value is not None and value is not False and value != "":
            raise arguments.usage_error(
                f"{flag} goes with --prune, and --prune is not there",
                "Without --prune nothing is removed.",
                (f"robotrain runs --prune {flag} …", "shows them first, and asks"),
            )


def reject_list_option(flag: str) -> None:
    """Raises Rejected for an option of the list, which would do nothing here."""
    if flag:
        raise arguments.usage_error(
            f"{flag} says how many are listed, and --prune lists none",
            "What may go is said by age or by how many stay.",
            ("robotrain runs --prune --keep 20", "all but the newest 20"),
        )


def prune_runs(ctx: typer.Context, selection: PruneSelection, yes: bool = False, json: bool = False) -> None:
    """Show which runs would go and how much room they take; remove them once that is confirmed."""
    span = arguments.parse_amount(amounts.parse_duration, selection.older_than, "--older-than", "30d")
    if span is None and selection.keep is None:
        raise arguments.usage_error(
            "--prune needs to know which runs are old",
            "Nothing is removed that was not asked for.",
            ("robotrain runs --prune --older-than 30d", "those that ended more than 30 days ago"),
            ("robotrain runs --prune --keep 20", "all but the newest 20"),
        )
    found = PruneCandidates(get_plugins(ctx), selection, None if span is None else time.time() - span)
    sizes = found.measure_sizes()
    if not json:
        _print_candidates(found, sizes)
    going = found.plan.removed
    act = bool(going) and arguments.confirm_removal(f"{len(going)} run{'' if len(going) == 1 else 's'}", yes)
    removed, failed = _remove_runs(found) if act else ({}, False)
    if json:
        print_json(_dump_prune(found, sizes, removed))
    elif act:
        count, freed = len(removed), amounts.format_size(sum(size or 0 for size in removed.values()))
        print_result(f"{count} run{'' if count == 1 else 's'} removed, {freed} free again")
    if failed:
        raise typer.Exit(Stage.SUBMIT.exit_code)


class PruneCandidates:
    """The runs that are wanted, what their platforms say of them, and what goes of them."""

    def __init__(self, plugins: Plugins, selection: PruneSelection, before: float | None) -> None:
        self._plugins, self._before = plugins, before
        self.records: dict[str, RunRecord] = {}
        self._unreadable: dict[str, str] = {}
        runs = [run for run in records.list_runs() if self._read_record(run, selection.platform)]
        known: dict[str, PruneCandidate] = {}
        if selection.state:  # then all have to be asked, to count the newest of them
            known = self._ask_statuses(runs)
            runs = [run for run in runs if _format_state(known[run]) == selection.state]
        created = {run: record.created for run, record in self.records.items()}
        runs = prune.select_old_runs(runs, created, before=before, keep=selection.keep or 0)
        known = known or self._ask_statuses(runs)
        self.plan = self._make_plan([known[run] for run in runs])

    def load_platform(self, run: str) -> Any:
        """The platform that a run is on. Raises Rejected."""
        return self._plugins.platform(self.records[run].platform)

    def measure_sizes(self) -> dict[str, int | None]:
        """The bytes that each would free; None where its platform keeps what it left, or does not say."""
        runs = [one.run for one in self.plan.removed if not one.gone]
        told = dict(zip(runs, self._ask_platforms(runs, reconcile.measure_outputs), strict=True))
        sizes = {one.run: told.get(one.run, 0) for one in self.plan.removed}
        return {run: size if isinstance(size, int) else None for run, size in sizes.items()}

    def _read_record(self, run: str, platform: str) -> bool:
        """Whether the run is one of those that are wanted."""
        try:
            self.records[run] = records.read_record(run)
        except Rejected as rejected:
            self._unreadable[run] = str(rejected)
            return not platform
        return platform in ("", self.records[run].platform)

    def _make_plan(self, known: Sequence[PruneCandidate]) -> PrunePlan:
        found = prune.plan_pruning(known, {}, before=self._before)
        runs = [one.run for one in found.removed if not one.interrupted]
        if not found.removed:
            return found
        left = dict(zip(runs, self._ask_platforms(runs, _list_output_uris), strict=True))
        started_from = {run: prune.read_source_uris(run) for run in records.list_runs()}
        return prune.plan_pruning(
            [_add_outputs(one, left.get(one.run)) for one in known], started_from, before=self._before
        )

    def _ask_statuses(self, runs: Sequence[str]) -> dict[str, PruneCandidate]:
        there = [run for run in runs if run in self.records]
        told = dict(zip(there, self._ask_platforms(there, _ask_status), strict=True))
        return {run: self._make_candidate(run, told.get(run)) for run in runs}

    def _make_candidate(self, run: str, answer: Any) -> PruneCandidate:
        if run not in self.records:
            return prune.PruneCandidate(run=run, created=0.0, reason=self._unreadable[run])
        created = self.records[run].created
        if self.records[run].phase == "sending":
            return _interrupted_candidate(run, created, answer)
        if isinstance(answer, Status):
            return prune.PruneCandidate(run=run, created=created, status=answer)
        told = (
            answer if isinstance(answer, PlatformSilence) else PlatformSilence("its platform answered with no status")
        )
        return prune.PruneCandidate(run=run, created=created, reason=told.why, gone=told.gone)

    def _ask_platforms(self, runs: Sequence[str], query: Callable[[RunRecord, Any], Any]) -> list[Any]:
        return ask_platforms([self._make_question(run, query) for run in runs])

    def _make_question(self, run: str, query: Callable[[RunRecord, Any], Any]) -> PlatformQuestion:
        record = self.records[run]
        try:
            platform = self.load_platform(run)
        except Rejected as rejected:
            failure = PlatformSilence(describe_exception(rejected))
            return PlatformQuestion(record.platform, lambda: failure)
        return PlatformQuestion(record.platform, lambda: query(record, platform))


def _ask_status(record: RunRecord, platform: Platform) -> Any:
    """Its status; of one whose submit was cut off, whether nothing became of it. Raises Rejected."""
    if record.phase == "sent":
        return platform.status(record.reference)
    from robotrain.submission import reconcile

    return reconcile.is_certainly_gone(record, platform)


def _interrupted_candidate(run: str, created: float, answer: Any) -> PruneCandidate:
    """What may go of it: a record of what was never taken."""
    if name_lock.is_being_submitted(run):
        return prune.PruneCandidate(run=run, created=created, reason="it is being sent just now")
    if answer is True:
        return prune.PruneCandidate(run=run, created=created, gone=True, interrupted=True)
    may_run = f"its submit was cut off; `robotrain status {run}` says more"
    why = answer.why if isinstance(answer, PlatformSilence) else may_run
    return prune.PruneCandidate(run=run, created=created, reason=why, interrupted=True)


def _list_output_uris(record: RunRecord, platform: Platform) -> tuple[str, ...]:
    return tuple(output.uri for output in platform.outputs(record.reference))


def _add_outputs(candidate: PruneCandidate, outputs: Any) -> PruneCandidate:
    """What a run left, told: when nobody knows, it is not known either what was started from it, and it stays."""
    if isinstance(outputs, PlatformSilence) and not outputs.gone:
        return replace(candidate, status=None, reason=f"what it left is not known: {outputs.why}")
    return replace(candidate, outputs=outputs if isinstance(outputs, tuple) else ())


def _format_state(candidate: PruneCandidate) -> str:
    if candidate.interrupted:
        return "interrupted"
    return "gone" if candidate.gone else candidate.status.state if candidate.status else "unknown"


def _remove_runs(candidates: PruneCandidates) -> tuple[dict[str, int | None], bool]:
    """The bytes that each run freed that could be removed, and whether one could not."""
    removed: dict[str, int | None] = {}
    for one in candidates.plan.removed:
        try:
            removed[one.run] = reconcile.remove_run(candidates.records[one.run], candidates.load_platform(one.run))
            print_message(f"removed {one.run}")
        except (Rejected, OSError) as error:
            print_message(f"{one.run} was not removed: {describe_exception(error)}")
    return removed, len(removed) < len(candidates.plan.removed)


def _print_candidates(candidates: PruneCandidates, sizes: dict[str, int | None]) -> None:
    from robotrain.cli.output import format_table

    going, now = candidates.plan.removed, time.time()
    if going:
        rows = [("RUN", "STATE", "PLATFORM", "ENDED", "SIZE")]
        for one in going:
            platform, bytes = candidates.records[one.run].platform, sizes[one.run]
            rows.append(
                (one.run, _format_state(one), platform, amounts.format_age(now - one.end_time), _format_size(bytes))
            )
        print_result(format_table(rows))
        total = amounts.format_size(sum(size or 0 for size in sizes.values()))
        print_message(f"{len(going)} run{'' if len(going) == 1 else 's'}, {total}")
    else:
        print_message("no run is old enough to go")
    for run, reason in candidates.plan.kept_reasons.items():
        print_message(f"{run} stays: {reason}")
    if going and None in sizes.values():
        print_message("where no size is known, the platform keeps what the run left: only the record kept here goes")


def _format_size(count: int | None) -> str:
    return "-" if count is None else amounts.format_size(count)


def _dump_prune(
    candidates: PruneCandidates, sizes: dict[str, int | None], removed: dict[str, int | None]
) -> dict[str, Any]:
    """As data; the keys are an API."""
    return {
        "runs": [
            {
                "run": one.run,
                "platform": candidates.records[one.run].platform,
                "state": _format_state(one),
                "ended": one.end_time,
                "bytes": sizes[one.run],
                "removed": one.run in removed,
            }
            for one in candidates.plan.removed
        ],
        "staying": [{"run": run, "why": reason} for run, reason in candidates.plan.kept_reasons.items()],
    }
