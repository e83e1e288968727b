"""The results of a sweep: its trials, those that differ only in the seed as one group, and the best one."""

import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain.model.progress import Progress
from robotrain.model.run import StepStateName
from robotrain.pipelines import progress
from robotrain.pipelines.plan import PIPELINE_FILE
from robotrain.store import files, records, stored_job
from robotrain.sweeps.space import SweepPlan, format_point, parse_sweep

SEED = "seed"
"""The parameter whose values repeat a trial: it makes no difference between groups."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial: its values, its run, and what it scored."""

    name: str
    run: str
    state: StepStateName
    values: Mapping[str, Any]
    score: float | None
    has_policy: bool = True
    """Whether it left what can be registered."""


@dataclass(frozen=True, slots=True)
class TrialGroup:
    """Trials that differ only in the seed."""

    values: Mapping[str, Any]
    trials: tuple[Trial, ...]
    mean: float | None
    """The mean of the trials that have a score."""
    low: float | None
    high: float | None
    """The lowest and the highest of these scores."""


@dataclass(frozen=True, slots=True)
class SweepResults:
    """The results of a sweep so far."""

    over: tuple[str, ...]
    metric: str
    """The metric that compares the trials; empty while none has it."""
    better: str
    trials: tuple[Trial, ...]
    groups: tuple[TrialGroup, ...]
    """Empty if no value of the seed is repeated."""
    best: Trial | None
    """Of several seeds: the best trial of the group with the best mean."""
    model: str = ""
    """The model that the job names for its policy."""
    missing: tuple[str, ...] = ()
    """The metrics that would compare the trials, if some have succeeded and none reported one of them."""


def make_register_command(run: str, results: SweepResults) -> str:
    """Return the command that registers the policy of the best trial; empty without one, or if it left none."""
    if results.best is None or not results.best.has_policy:
        return ""
    best = results.best  # a trial that an engine ran is no run of its own
    policy_words = best.run if best.run and records.is_step(best.run) else f"{run} --step {best.name}"
    return f"robotrain register {policy_words} {results.model or 'MODEL'}"


def read_results(run: str) -> SweepResults | None:
    """Return the results of a sweep; None if its plan or its progress is gone."""
    try:
        plan = parse_sweep(json.loads(files.read_state_file(stored_job.get_plan_folder(run) / PIPELINE_FILE))["sweep"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    pipeline_progress = progress.read_progress(run)
    if pipeline_progress is None:
        return None
    metric = find_metric(plan, [step.scores for step in pipeline_progress.steps.values()])
    name, better = metric or ("", "")
    trials = tuple(
        Trial(
            trial,
            step.run,
            step.shown_state,
            plan.points.get(trial, {}),
            step.scores.get(name) if step.state == "succeeded" else None,
            step.has_policy,
        )
        for trial, step in pipeline_progress.steps.items()
    )
    groups = _group_trials(plan.over, trials)
    best = _find_best(trials, groups, better)
    is_scoreless = not name and any(trial.state == "succeeded" for trial in trials)
    missing_metrics = tuple(metric_name for metric_name, _ in plan.metrics) if is_scoreless else ()
    return SweepResults(plan.over, name, better, trials, groups, best, plan.model, missing_metrics)


def find_metric(plan: SweepPlan, scores: Sequence[Mapping[str, float]]) -> tuple[str, str] | None:
    """Return the metric that compares trials, with `lower` or `higher`: the first of the plan that any trial has, or
    else, of the first pattern that fits, the name that most trials have.
    """
    if metric := next((pair for pair in plan.metrics if any(pair[0] in step_scores for step_scores in scores)), None):
        return metric
    name_counts = Counter(name for step_scores in scores for name in step_scores)
    for pattern, better in plan.patterns:
        matching_names = [name for name, _ in name_counts.most_common() if re.fullmatch(pattern, name)]
        if matching_names:
            return matching_names[0], better
    return None


def select_scores(plan: SweepPlan, run_progress: Progress) -> dict[str, float]:
    """Return the last values of a trial that may compare it with others."""
    scores = {**run_progress.metrics, **(run_progress.evaluated.scores if run_progress.evaluated else {})}
    names = [name for name, _ in plan.metrics]
    patterns = [pattern for pattern, _ in plan.patterns]
    return {
        name: value
        for name, value in scores.items()
        if name in names or any(re.fullmatch(pattern, name) for pattern in patterns)
    }


def _group_trials(over: Sequence[str], trials: Sequence[Trial]) -> tuple[TrialGroup, ...]:
    if SEED not in over:
        return ()
    trials_by_values: dict[tuple[tuple[str, Any], ...], list[Trial]] = {}
    for trial in filter(lambda trial: trial.values, trials):  # values that are chosen later are not known before
        key = tuple((name, value) for name, value in trial.values.items() if name != SEED)
        trials_by_values.setdefault(key, []).append(trial)
    if all(len(group) == 1 for group in trials_by_values.values()):
        return ()
    groups = []
    for key, group in trials_by_values.items():
        finite_scores = [trial.score for trial in group if trial.score is not None and math.isfinite(trial.score)]
        mean = statistics.fmean(finite_scores) if finite_scores else None
        low, high = min(finite_scores, default=None), max(finite_scores, default=None)
        groups.append(TrialGroup(dict(key), tuple(group), mean, low, high))
    return tuple(groups)


def _find_best(trials: Sequence[Trial], groups: Sequence[TrialGroup], better: str) -> Trial | None:
    sign = -1.0 if better == "higher" else 1.0
    group_by_rank = {sign * group.mean: group for group in reversed(groups) if group.mean is not None}
    candidate_trials = group_by_rank[min(group_by_rank)].trials if group_by_rank else trials
    return next(iter(rank_scored(candidate_trials, better)), None)


def rank_scored(trials: Sequence[Trial], better: str) -> list[Trial]:
    """Return the trials with a finite score, best first."""
    sign = -1.0 if better == "higher" else 1.0
    scored_trials = [
        (sign * trial.score, trial) for trial in trials if trial.score is not None and math.isfinite(trial.score)
    ]
    return [trial for _, trial in sorted(scored_trials, key=lambda pair: pair[0])]


def describe_best(results: SweepResults) -> str:
    """Return the best trial as `trial-3: lr=0.3, loss 0.005`, with those that are as good; empty without one."""
    best = results.best
    if best is None:
        return ""
    best_text = f"{best.name}: {format_point(best.values)}, {results.metric} {format_value(best.score)}"
    ties = describe_ties(results)
    return f"{best_text}; {ties}" if ties else best_text


def describe_ties(results: SweepResults) -> str:
    """Return which trials have the score of the best one: `as good as trial-2 and 3 others`; empty for none."""
    best = results.best
    tied_names = [trial.name for trial in results.trials if best and trial != best and trial.score == best.score]
    if not tied_names:
        return ""
    first_name, *other_names = tied_names
    others_text = f" and {len(other_names)} other{'s' * (len(other_names) > 1)}" if other_names else ""
    return f"as good as {first_name}{others_text}"


def list_trial_rows(results: SweepResults) -> list[tuple[str, ...]]:
    """Return the table of trials, with its head."""
    head = ("TRIAL", *(name.upper() for name in results.over), "STATE", results.metric.upper(), "RUN")
    rows = [
        (
            trial.name,
            *(format_value(trial.values.get(name)) for name in results.over),
            trial.state,
            format_value(trial.score),
            trial.run,
        )
        for trial in results.trials
    ]
    return [head, *rows]


def list_group_rows(results: SweepResults) -> list[tuple[str, ...]]:
    """Return the table of groups, with its head; empty without groups or scores."""
    if not results.groups or not results.metric:
        return []
    names = [name for name in results.over if name != SEED]
    rows = [
        (
            *(format_value(group.values.get(name)) for name in names),
            str(sum(trial.score is not None for trial in group.trials)),
            format_value(group.mean),
            "" if group.low is None else f"{format_value(group.low)} to {format_value(group.high)}",
        )
        for group in results.groups
    ]
    return [(*(name.upper() for name in names), "SEEDS", f"MEAN {results.metric.upper()}", "RANGE"), *rows]


def dump_results(results: SweepResults | None) -> dict[str, Any] | None:
    """Return the results as data; the keys are an API."""
    if results is None:
        return None
    names = ("name", "run", "state", "values", "score")
    return {
        "over": list(results.over),
        "metric": results.metric,
        "better": results.better,
        "trials": [{name: getattr(trial, name) for name in names} for trial in results.trials],
        "groups": [
            {
                "values": dict(group.values),
                "trials": [trial.name for trial in group.trials],
                **{name: getattr(group, name) for name in ("mean", "low", "high")},
            }
            for group in results.groups
        ],
        "best": {"trial": results.best.name, "run": results.best.run} if results.best else None,
    }


def format_value(value: Any) -> str:
    """Return a value or a score as text; empty for None."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
