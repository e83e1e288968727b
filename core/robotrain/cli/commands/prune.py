"""`robotrain runs --prune`: show and remove old runs."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli import arguments
from robotrain.cli.output import describe_exception, format_table, print_json, print_message, print_result
from robotrain.cli.watch.run_list import FailedQuery, PlatformQuery, ask_platforms, ask_statuses, describe_interrupted
from robotrain.errors import Rejected, Stage
from robotrain.model import amounts, times
from robotrain.model.run import Status
from robotrain.store import name_lock, plans, prune, records
from robotrain.submission import reconcile

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins
    from robotrain.store.prune import PruneCandidate


def prune_runs(
    plugins: Plugins, older_than: str, keep: int | None, state: str, platform: str, yes: bool, json: bool
) -> None:
    """Show the runs to remove and their sizes, and remove them after confirmation."""
    span = arguments.parse_amount(amounts.parse_duration, older_than, "--older-than", "30d")
    if span is None and keep is None:
        raise arguments.usage_error(
            "--prune needs --older-than or --keep",
            "Without one of them, nothing would be removed.",
            ("robotrain runs --prune --older-than 30d", "runs that ended more than 30 days ago"),
            ("robotrain runs --prune --keep 20", "all but the newest 20"),
        )
    before = None if span is None else time.time() - span
    candidates = PruneCandidates(plugins, before, keep, state, platform)
    sizes = candidates.measure_sizes()
    if not json:
        _print_candidates(candidates, sizes)
    selected = candidates.plan.removed
    remove = bool(selected) and arguments.confirm_removal(_count_runs(len(selected)), yes)
    removed = candidates.remove_runs() if remove else {}
    if json:
        print_json(_dump_prune(candidates, sizes, removed))
    elif remove:
        freed = amounts.format_size(sum(size or 0 for size in removed.values()))
        print_result(f"{_count_runs(len(removed))} removed, {freed} freed")
    if remove and len(removed) < len(selected):
        raise typer.Exit(Stage.SUBMIT.exit_code)


def _count_runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


class PruneCandidates:
    """The selected runs, their states, and which of them are removed."""

    def __init__(
        self, plugins: Plugins, before: float | None, keep: int | None = None, state: str = "", platform: str = ""
    ) -> None:
        self._plugins = plugins
        self.records: dict[str, RunRecord] = {}
        self._unreadable: dict[str, str] = {}
        runs = [run for run in records.iterate_runs(with_steps=False) if self._read_record(run, platform)]
        known: dict[str, PruneCandidate] = {}
        if state:  # all are asked, to count the newest in that state
            known = self._ask_statuses(runs)
            runs = [run for run in runs if _format_state(known[run]) == state]
        created = {run: record.created for run, record in self.records.items()}
        runs = prune.select_old_runs(runs, created, before=before, keep=keep or 0)
        known = known or self._ask_statuses(runs)
        candidates = [known[run] for run in runs]
        self.plan = prune.plan_pruning(candidates, {}, before=before)
        if self.plan.removed:
            outputs = self._ask_about([one.run for one in self.plan.removed if not one.interrupted], _list_output_uris)
            candidates = [_add_outputs(one, outputs.get(one.run)) for one in candidates]
            gone = {one.run for one in self.plan.removed}
            used_sources = {
                run: [source.uri for source in plans.read_stored_sources(run)]
                for run in records.list_runs()
                if not (records.is_step(run) and records.read_record(run).pipeline in gone)
            }
            self.plan = prune.plan_pruning(candidates, used_sources, before=before)

    def measure_sizes(self) -> dict[str, int | None]:
        """Return the bytes that each run would free; None where the platform keeps its outputs or does not answer."""
        answers = self._ask_about([one.run for one in self.plan.removed if not one.gone], reconcile.measure_outputs)
        sizes = {one.run: answers.get(one.run, 0) for one in self.plan.removed}
        return {run: size if isinstance(size, int) else None for run, size in sizes.items()}

    def remove_runs(self) -> dict[str, int | None]:
        """Remove the runs; return the bytes that each freed, without those that could not be removed."""
        removed: dict[str, int | None] = {}
        for one in self.plan.removed:
            record = self.records[one.run]
            try:
                removed[one.run] = reconcile.remove_run(record, self._plugins.platform_of(record))
                print_message(f"removed {one.run}")
            except (Rejected, OSError) as error:
                print_message(f"{one.run} was not removed: {describe_exception(error)}")
        return removed

    def _read_record(self, run: str, platform: str) -> bool:
        """Read a run's record; return whether the run is on the selected platform."""
        try:
            self.records[run] = records.read_record(run)
        except Rejected as rejected:
            self._unreadable[run] = str(rejected)
            return not platform
        return platform in ("", self.records[run].platform)

    def _ask_statuses(self, runs: Sequence[str]) -> dict[str, PruneCandidate]:
        known = [run for run in runs if run in self.records]
        sent = [run for run in known if self.records[run].phase == "sent"]
        answers = self._ask_about([run for run in known if run not in sent], reconcile.is_certainly_gone)
        answers |= zip(sent, ask_statuses([self.records[run] for run in sent], self._plugins), strict=True)
        return {run: self._make_candidate(run, answers.get(run)) for run in runs}

    def _make_candidate(self, run: str, answer: Any) -> PruneCandidate:
        if run not in self.records:
            return prune.PruneCandidate(run=run, created=0.0, reason=self._unreadable[run])
        created = self.records[run].created
        if self.records[run].phase == "sending":
            return _interrupted_candidate(run, created, answer)
        if isinstance(answer, Status):
            return prune.PruneCandidate(run=run, created=created, status=answer)
        if not isinstance(answer, FailedQuery):
            answer = FailedQuery("its platform returned no status")
        return prune.PruneCandidate(run=run, created=created, reason=answer.why, gone=answer.gone)

    def _ask_about(self, runs: Sequence[str], question: PlatformQuery) -> dict[str, Any]:
        return dict(zip(runs, ask_platforms([self.records[run] for run in runs], self._plugins, question), strict=True))


def _interrupted_candidate(run: str, created: float, answer: Any) -> PruneCandidate:
    """Return the candidate of an interrupted submit: its record may go when it left no run."""
    if name_lock.is_being_submitted(run):
        return prune.PruneCandidate(run=run, created=created, reason="it is being submitted now")
    if answer is True:
        return prune.PruneCandidate(run=run, created=created, gone=True, interrupted=True)
    why = answer.why if isinstance(answer, FailedQuery) else describe_interrupted(run)
    return prune.PruneCandidate(run=run, created=created, reason=why, interrupted=True)


def _list_output_uris(record: RunRecord, platform: Platform) -> tuple[str, ...]:
    return tuple(output.uri for output in platform.outputs(record.reference))


def _add_outputs(candidate: PruneCandidate, outputs: Any) -> PruneCandidate:
    """Add a run's outputs; where they are unknown, the run stays, since another may have started from them."""
    if isinstance(outputs, FailedQuery) and not outputs.gone:
        return replace(candidate, status=None, reason=f"its outputs are unknown: {outputs.why}")
    return replace(candidate, outputs=outputs if isinstance(outputs, tuple) else ())


def _format_state(candidate: PruneCandidate) -> str:
    if candidate.interrupted:
        return "interrupted"
    return "gone" if candidate.gone else candidate.status.state if candidate.status else "unknown"


def _print_candidates(candidates: PruneCandidates, sizes: dict[str, int | None]) -> None:
    selected, now = candidates.plan.removed, time.time()
    if selected:
        rows = [("RUN", "STATE", "PLATFORM", "ENDED", "SIZE")]
        for one in selected:
            bytes, age = sizes[one.run], times.format_age(now - one.end_time)
            size = "-" if bytes is None else amounts.format_size(bytes)
            rows.append((one.run, _format_state(one), candidates.records[one.run].platform, age, size))
        print_result(format_table(rows))
        total = amounts.format_size(sum(size or 0 for size in sizes.values()))
        print_message(f"{_count_runs(len(selected))}, {total}")
    else:
        print_message("no run is old enough to be removed")
    for run, reason in candidates.plan.kept_reasons.items():
        print_message(f"{run} stays: {reason}")
    if selected and None in sizes.values():
        why = "the platform keeps their outputs; only the record on this machine is removed"
        print_message(f"runs without a size: {why}")


def _dump_prune(
    candidates: PruneCandidates, sizes: dict[str, int | None], removed: dict[str, int | None]
) -> dict[str, Any]:
    """Return the result as data; the keys are an API."""
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
