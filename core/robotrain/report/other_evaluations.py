"""Evaluations beside those that are compared: a score that was chosen among several is too good."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_runtime.contract.event import Evaluated

from robotrain.errors import Rejected
from robotrain.model import scores
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.report import collect, compared_evaluations
from robotrain.report.collect import RunFacts
from robotrain.store import listed_results, records, stored_job
from robotrain.store.latest_run import REFERENCE_ROLE


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvaluation:
    """An evaluation, as far as it is known without asking its platform."""

    run: str
    name: str
    digest: str
    conditions: tuple[str, ...]
    seed: Any
    """None if it is not known."""
    result: float
    """The headline score, or minus it where less is better."""
    trained_by: str
    """The run that trained its policy, if its log says that."""

    def list_marks(self) -> set[tuple[str, str]]:
        """Return what policies of its training have in common."""
        sources = stored_job.read_stored_sources(self.run)
        training_run = collect.find_training_run(sources, {collect.TRAINING_RUN_TAG: self.trained_by})
        return compared_evaluations.list_training_marks(sources, training_run, "")


def list_notes(evaluations: Sequence[tuple[str, RunFacts]], plugins: Plugins) -> Iterator[str]:
    """Yield a sentence about each compared evaluation beside which there are others that may have chosen it."""
    compared_runs = {facts.record.run for _, facts in evaluations}
    other_evaluations = [*_list_others(compared_runs, plugins)]
    for label, facts in evaluations:
        own_evaluation = _describe(facts.record, facts.progress, facts.values)
        if own_evaluation is None:
            continue
        equal_evaluations = [
            other_evaluation
            for other_evaluation in other_evaluations
            if other_evaluation.conditions == own_evaluation.conditions
        ]
        repeated_evaluations = [
            other_evaluation
            for other_evaluation in equal_evaluations
            if own_evaluation.digest and other_evaluation.digest == own_evaluation.digest
        ]
        rival_evaluations = [
            other_evaluation
            for other_evaluation in equal_evaluations
            if other_evaluation not in repeated_evaluations and other_evaluation.seed == own_evaluation.seed
        ]
        marks = own_evaluation.list_marks() if rival_evaluations else set[tuple[str, str]]()
        checkpoints = [
            other_evaluation
            for other_evaluation in rival_evaluations
            if not other_evaluation.list_marks().isdisjoint(marks)
        ]
        if repeated_evaluations:
            yield (
                f"{label} is one of {1 + len(repeated_evaluations)} evaluations of its policy under equal conditions"
                f" ({_name(repeated_evaluations)}): they count as well"
            )
        if checkpoints and all(own_evaluation.result >= other_evaluation.result for other_evaluation in checkpoints):
            count = f"{1 + len(checkpoints)} checkpoints of its training"
            yield (
                f"{label} is the best of {count} on these starts (the others: {_name(checkpoints)}): if its score chose"
                " it, it looks better than it is, and new episodes (--env) tell"
            )


def _name(other_evaluations: Sequence[OtherEvaluation]) -> str:
    return ", ".join(other_evaluation.name for other_evaluation in other_evaluations)


def _list_others(compared: set[str], plugins: Plugins) -> Iterator[OtherEvaluation]:
    for run in records.iterate_newest_runs():
        with contextlib.suppress(Rejected, OSError):
            record = records.read_record(run)
            if run in compared or record.makes != "results" or REFERENCE_ROLE in record.values:
                continue
            progress = collect.read_local_progress(record, plugins)
            progress.evaluated = progress.evaluated or _read_listed(run)
            if other_evaluation := _describe(record, progress, stored_job.read_stored_values(run)):
                yield other_evaluation


def _read_listed(run: str) -> Evaluated | None:
    """Return the result of an evaluation elsewhere, as `robotrain runs` stored it."""
    if (ended_run := listed_results.read_ended_run(run)) is None:
        return None
    listed_progress = ended_run.progress
    return Evaluated(
        episodes=0,
        scores=listed_progress.scores,
        results="",
        conditions=listed_progress.conditions,
        digest=listed_progress.digest,
    )


def _describe(record: RunRecord, progress: Progress, values: Sequence[Mapping[str, Any]]) -> OtherEvaluation | None:
    """Return an evaluation; None without a result under known conditions, or if it chose among several itself."""
    evaluated = progress.evaluated
    if evaluated is None or not evaluated.conditions:
        return None
    _, selection = scores.split_selection(scores.format_conditions(evaluated))
    headline = scores.find_headline_score(evaluated.scores, record.metrics)
    if selection or headline is None:
        return None
    metric, headline_score = headline
    return OtherEvaluation(
        run=record.run,
        name=record.name or record.run,
        digest=evaluated.digest,
        conditions=compared_evaluations.list_conditions(evaluated, values),
        seed=next((row["value"] for row in values if row["name"] == "seed"), None),
        trained_by=progress.tags.get(collect.TRAINING_RUN_TAG, ""),
        result=-headline_score if metric.direction == "lower" else headline_score,
    )
