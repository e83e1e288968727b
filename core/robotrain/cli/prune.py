"""`robotrain runs --prune`: which old runs would go, and removing them."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from robotrain import amounts, pruning, store
from robotrain.cli import removing
from robotrain.cli.app import plugins_of
from robotrain.cli.output import say, show, show_json
from robotrain.cli.watching.asking import Question, Unanswered, answers, why
from robotrain.problem import Rejected, Stage
from robotrain.run import Status

if TYPE_CHECKING:
    from robotrain.pruning import Known, Pruning
    from robotrain.run import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which runs. older_than: a span of time. keep: how many of the newest stay. state, platform: only so."""

    older_than: str = ""
    keep: int | None = None
    state: str = ""
    platform: str = ""


def belong_together(prune: bool, *others: tuple[str, Any]) -> None:
    """Raises Rejected for options of --prune that were given without it."""
    for flag, value in others:
        if not prune and value is not None and value is not False and value != "":
            raise removing.usage(
                f"{flag} goes with --prune, and --prune is not there",
                "Without --prune nothing is removed.",
                (f"robotrain runs --prune {flag} …", "shows them first, and asks"),
            )


def not_listed(flag: str) -> None:
    """Raises Rejected for an option of the list, which would do nothing here."""
    if flag:
        raise removing.usage(
            f"{flag} says how many are listed, and --prune lists none",
            "What may go is said by age or by how many stay.",
            ("robotrain runs --prune --keep 20", "all but the newest 20"),
        )


def prune(ctx: typer.Context, wanted: Wanted, yes: bool = False, json: bool = False) -> None:
    """Show which runs would go and how much room they take; remove them once that is confirmed."""
    span = removing.amount(amounts.parse_span, wanted.older_than, "--older-than", "30d")
    if span is None and wanted.keep is None:
        raise removing.usage(
            "--prune needs to know which runs are old",
            "Nothing is removed that was not asked for.",
            ("robotrain runs --prune --older-than 30d", "those that ended more than 30 days ago"),
            ("robotrain runs --prune --keep 20", "all but the newest 20"),
        )
    found = Prunable(plugins_of(ctx), wanted, None if span is None else time.time() - span)
    sizes = found.sizes()
    if not json:
        _tell(found, sizes)
    going = found.plan.going
    act = bool(going) and removing.confirmed(f"{len(going)} run{'' if len(going) == 1 else 's'}", yes)
    removed, failed = _remove(found) if act else ({}, False)
    if json:
        show_json(_as_data(found, sizes, removed))
    elif act:
        count, freed = len(removed), amounts.size(sum(size or 0 for size in removed.values()))
        show(f"{count} run{'' if count == 1 else 's'} removed, {freed} free again")
    if failed:
        raise typer.Exit(Stage.SUBMIT.exit_code)


class Prunable:
    """The runs that are wanted, what their platforms say of them, and what goes of them."""

    def __init__(self, plugins: Any, wanted: Wanted, before: float | None) -> None:
        self._plugins, self._before = plugins, before
        self.records: dict[str, RunRecord] = {}
        self._unreadable: dict[str, str] = {}
        runs = [run for run in store.names() if self._read(run, wanted.platform)]
        known: dict[str, Known] = {}
        if wanted.state:  # then all have to be asked, to count the newest of them
            known = self._asked(runs)
            runs = [run for run in runs if _state(known[run]) == wanted.state]
        created = {run: record.created for run, record in self.records.items()}
        runs = pruning.old(runs, created, before=before, keep=wanted.keep or 0)
        known = known or self._asked(runs)
        self.plan = self._planned([known[run] for run in runs])

    def platform(self, run: str) -> Any:
        """The platform that a run is on. Raises Rejected."""
        return self._plugins.platform(self.records[run].platform)

    def sizes(self) -> dict[str, int | None]:
        """The bytes that each would free; None where its platform keeps what it left, or does not say."""
        runs = [one.run for one in self.plan.going if not one.gone]
        told = dict(zip(runs, self._answers(runs, pruning.size), strict=True))
        sizes = {one.run: told.get(one.run, 0) for one in self.plan.going}
        return {run: size if isinstance(size, int) else None for run, size in sizes.items()}

    def _read(self, run: str, platform: str) -> bool:
        """Whether the run is one of those that are wanted."""
        try:
            self.records[run] = store.read(run)
        except Rejected as rejected:
            self._unreadable[run] = str(rejected)
            return not platform
        return platform in ("", self.records[run].platform)

    def _planned(self, known: Sequence[Known]) -> Pruning:
        found = pruning.plan(known, {}, before=self._before)
        runs = [one.run for one in found.going if not one.cut_off]
        if not found.going:
            return found
        left = dict(zip(runs, self._answers(runs, _uris), strict=True))
        started_from = {run: pruning.sources(run) for run in store.names()}
        return pruning.plan([_with_outputs(one, left.get(one.run)) for one in known], started_from, before=self._before)

    def _asked(self, runs: Sequence[str]) -> dict[str, Known]:
        there = [run for run in runs if run in self.records]
        told = dict(zip(there, self._answers(there, _how_it_is), strict=True))
        return {run: self._known(run, told.get(run)) for run in runs}

    def _known(self, run: str, answer: Any) -> Known:
        if run not in self.records:
            return pruning.Known(run=run, created=0.0, why=self._unreadable[run])
        created = self.records[run].created
        if self.records[run].phase == "sending":
            return _of_cut_off(run, created, answer)
        if isinstance(answer, Status):
            return pruning.Known(run=run, created=created, status=answer)
        told = answer if isinstance(answer, Unanswered) else Unanswered("its platform answered with no status")
        return pruning.Known(run=run, created=created, why=told.why, gone=told.gone)

    def _answers(self, runs: Sequence[str], ask: Callable[[RunRecord, Any], Any]) -> list[Any]:
        return answers([self._question(run, ask) for run in runs])

    def _question(self, run: str, ask: Callable[[RunRecord, Any], Any]) -> Question:
        record = self.records[run]
        try:
            platform = self.platform(run)
        except Rejected as rejected:
            failure = Unanswered(why(rejected))
            return Question(record.platform, lambda: failure)
        return Question(record.platform, lambda: ask(record, platform))


def _how_it_is(record: RunRecord, platform: Any) -> Any:
    """Its status; of one whose submit was cut off, whether nothing became of it. Raises Rejected."""
    if record.phase == "sent":
        return platform.status(record.reference)
    from robotrain import cut_off

    return cut_off.gone(record, platform)


def _of_cut_off(run: str, created: float, answer: Any) -> Known:
    """What may go of it: a record of what was never taken."""
    if store.being_sent(run):
        return pruning.Known(run=run, created=created, why="it is being sent just now")
    if answer is True:
        return pruning.Known(run=run, created=created, gone=True, cut_off=True)
    may_run = f"its submit was cut off; `robotrain status {run}` says more"
    why = answer.why if isinstance(answer, Unanswered) else may_run
    return pruning.Known(run=run, created=created, why=why, cut_off=True)


def _uris(record: RunRecord, platform: Any) -> tuple[str, ...]:
    return tuple(output.uri for output in platform.outputs(record.reference))


def _with_outputs(one: Known, outputs: Any) -> Known:
    """What a run left, told: when nobody knows, it is not known either what was started from it, and it stays."""
    if isinstance(outputs, Unanswered) and not outputs.gone:
        return replace(one, status=None, why=f"what it left is not known: {outputs.why}")
    return replace(one, outputs=outputs if isinstance(outputs, tuple) else ())


def _state(one: Known) -> str:
    if one.cut_off:
        return "interrupted"
    return "gone" if one.gone else one.status.state if one.status else "unknown"


def _remove(found: Prunable) -> tuple[dict[str, int | None], bool]:
    """The bytes that each run freed that could be removed, and whether one could not."""
    removed: dict[str, int | None] = {}
    for one in found.plan.going:
        try:
            removed[one.run] = pruning.remove(found.records[one.run], found.platform(one.run))
            say(f"removed {one.run}")
        except (Rejected, OSError) as error:
            say(f"{one.run} was not removed: {why(error)}")
    return removed, len(removed) < len(found.plan.going)


def _tell(found: Prunable, sizes: dict[str, int | None]) -> None:
    from robotrain.cli.output import table

    going, now = found.plan.going, time.time()
    if going:
        rows = [("RUN", "STATE", "PLATFORM", "ENDED", "SIZE")]
        for one in going:
            platform, bytes = found.records[one.run].platform, sizes[one.run]
            rows.append((one.run, _state(one), platform, amounts.ago(now - one.ended), _size(bytes)))
        show(table(rows))
        total = amounts.size(sum(size or 0 for size in sizes.values()))
        say(f"{len(going)} run{'' if len(going) == 1 else 's'}, {total}")
    else:
        say("no run is old enough to go")
    for run, reason in found.plan.staying.items():
        say(f"{run} stays: {reason}")
    if going and None in sizes.values():
        say("where no size is known, the platform keeps what the run left: only the record kept here goes")


def _size(count: int | None) -> str:
    return "-" if count is None else amounts.size(count)


def _as_data(found: Prunable, sizes: dict[str, int | None], removed: dict[str, int | None]) -> dict[str, Any]:
    """As data; the keys are an API."""
    return {
        "runs": [
            {
                "run": one.run,
                "platform": found.records[one.run].platform,
                "state": _state(one),
                "ended": one.ended,
                "bytes": sizes[one.run],
                "removed": one.run in removed,
            }
            for one in found.plan.going
        ],
        "staying": [{"run": run, "why": reason} for run, reason in found.plan.staying.items()],
    }
