"""Policies whose episodes were played before: finished evaluations, and the episodes of a file, as a comparison."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robotrain_runtime.comparison import continuation
from robotrain_runtime.comparison.decision import ComparisonPlan
from robotrain_runtime.comparison.observations import Observation, Side
from robotrain_runtime.contract.files import read_limited_file

from robotrain.cli.arguments import find_run, make_usage_error
from robotrain.cli.output import print_message
from robotrain.comparison import table, trainings
from robotrain.comparison.scores_file import read_scores
from robotrain.comparison.table import ComparedSide, Missing
from robotrain.errors import Problem, Rejected, Suggestion, collect_problems, raise_if_any
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name, suggest_path
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.report import collect, compared_evaluations, other_evaluations
from robotrain.report.collect import RunFacts
from robotrain.report.compared_evaluations import PLAIN, EvaluationTable
from robotrain.store import name_index, records
from robotrain.store.latest_run import NEWEST_NAMES
from robotrain.submission import earlier_results

make_problem = Messages(__file__)

POLICY, REFERENCE = "policy", "reference"
"""The roles of the policy that is asked about, and of those that it is compared with."""
MAX_SCORES_BYTES = 100 << 20


def compare_file(
    file: Path, words: Sequence[str], plan: ComparisonPlan, reference_policy: str, missing: Missing | None
) -> Mapping[str, Any]:
    """Compare the policies of a CSV file, or those of them that are named."""
    try:
        file_bytes = read_limited_file(file, MAX_SCORES_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        ways = suggest_path(file, "--scores ")
        raise Rejected([make_problem("file-unsuitable.scores", *ways, given=str(file), why=reason)]) from None
    episodes = read_scores(file_bytes, str(file))
    policies = [*dict.fromkeys(episode.policy for episode in episodes)]
    named_policies = [*dict.fromkeys([*words, *([reference_policy] if reference_policy else [])])]
    joined_policies = redact(", ".join(policies))
    unknown_policies = [name for name in named_policies if name not in policies]
    raise_if_any(
        make_problem("value-unknown.policy", *suggest_name(name, policies), given=name, every=joined_policies)
        for name in unknown_policies
    )
    chosen_policies = named_policies if words else policies
    conditions = [*dict.fromkeys(episode.condition for episode in episodes)]
    sides = [Side(name) for name in chosen_policies]
    if len(chosen_policies) == 1 and len(conditions) > 1:
        sides = [Side(chosen_policies[0], condition or PLAIN) for condition in conditions]
        episodes = [replace(episode, condition=episode.condition or PLAIN) for episode in episodes]
    if len(sides) < 2:
        raise Rejected([make_problem("value-missing.second-policy", given=chosen_policies[0])])
    described_sides = [
        ComparedSide(side=side, facts={**table.describe_side(episodes, side), "source": str(file)}) for side in sides
    ]
    references = _find_references(plan, chosen_policies, reference_policy)
    return _compare(episodes, described_sides, plan, references, missing)


def compare_runs(
    words: Sequence[str], plan: ComparisonPlan, reference_policy: str, missing: Missing | None, plugins: Plugins
) -> Mapping[str, Any]:
    """Compare finished evaluations; of one run that compared policies, return what it found."""
    side_texts = [*words, *([reference_policy] if reference_policy else [])]
    problems = list[Problem]()
    if not side_texts:
        ways = [
            ("robotrain compare RUN RUN", "finished evaluations"),
            ("--scores FILE.csv", "episodes of a real robot"),
        ]
        raise make_usage_error("`robotrain compare` needs policies", "It says which of them is better.", *ways)
    named_facts: list[tuple[str, RunFacts]] = []
    side_groups = [run_text.split(",") for run_text in side_texts]
    for run_text in itertools.chain(*side_groups):
        with collect_problems(problems):
            named_facts.append((run_text, _find_evaluation(run_text, plugins, side_groups)))
    raise_if_any(problems)
    if len(named_facts) == 1:
        evaluation = named_facts[0][1].evaluation
        if evaluation is None:
            compared_evaluations.make_table(named_facts)
        if evaluation is None or evaluation.comparison is None:
            way = Suggestion(shlex.join(["robotrain", "compare", side_texts[0], "RUN"]), "a finished evaluation")
            raise Rejected([make_problem("value-missing.second-policy", way, given=side_texts[0])])
        return add_unrelated(evaluation.comparison, named_facts[0][1], plugins)
    if len(side_groups) == 1:
        way = Suggestion(shlex.join(["robotrain", "compare", *side_groups[0]]), "each is a policy")
        raise Rejected([make_problem("value-missing.second-policy", way, given=side_texts[0])])
    runs = [facts.record.run for _, facts in named_facts]
    if repeated_text := next((run_text for run_text, facts in named_facts if runs.count(facts.record.run) > 1), ""):
        raise Rejected([make_problem("word-repeated.evaluation", given=repeated_text)])
    if len(named_facts) == len(side_groups):
        raise_if_any(compared_evaluations.find_same_policies(named_facts))
    evaluations = compared_evaluations.make_table(
        [(_name_run(run_text, facts), facts) for run_text, facts in named_facts]
    )
    references = _find_references(plan, side_texts, reference_policy)
    plan = replace(plan, block=evaluations.tasks)
    episodes, sides = evaluations.episodes, evaluations.sides
    by_training = len(named_facts) > len(side_groups)
    if by_training:
        episodes, sides = _group_trainings(evaluations, side_groups, [facts for _, facts in named_facts])
    comparison = _compare(episodes, sides, plan, references, missing, evaluations.conditions, by_training=by_training)
    return {**comparison, "notes": [*comparison["notes"], *other_evaluations.list_notes(named_facts, plugins)]}


def add_unrelated(comparison: Mapping[str, Any], facts: RunFacts, plugins: Plugins) -> Mapping[str, Any]:
    """Return what a run found, with a note about others of the same policies that it did not go on from."""
    answers = earlier_results.list_answers(facts.record.workload, plugins)
    notes = [
        f"{name_index.find_unique_name(run)} compared the same policies under equal conditions and is not counted"
        f" here: {answers[run].get('answer')}"
        for run in continuation.find_unrelated(answers, facts.record.run)
    ]
    return {**comparison, "notes": [*(comparison.get("notes") or ()), *notes]} if notes else comparison


def _group_trainings(
    evaluations: EvaluationTable, side_groups: Sequence[Sequence[str]], facts: Sequence[RunFacts]
) -> tuple[list[Observation], list[ComparedSide]]:
    """Return the episodes and the sides with one side for each group of evaluations, which are its trainings.

    Evaluations of one training count as one. Raise Rejected if it stands on two sides.
    """
    run_texts = [*itertools.chain(*side_groups)]
    firsts = compared_evaluations.find_trainings(facts)
    if evaluations.conditions is None:
        raise Rejected([make_problem("not-comparable.trainings-conditions")])
    side_names = [redact(group[0] if len(group) == 1 else f"{group[0]}…{group[-1]}") for group in side_groups]
    owners = [name for name, group in zip(side_names, side_groups, strict=True) for _ in group]
    for index, first_index in enumerate(firsts):
        if owners[index] != owners[first_index]:
            raise Rejected(
                [make_problem("not-comparable.one-training", first=run_texts[first_index], second=run_texts[index])]
            )
    trainings = [run_texts[first_index] for first_index in firsts]
    for run_text, training in zip(run_texts, trainings, strict=True):
        if run_text != training:
            print_message(f"{run_text} and {training} are evaluations of one training, and count as one")
    by_policy = {
        side.side.policy: (owner, training)
        for side, owner, training in zip(evaluations.sides, owners, trainings, strict=True)
    }
    episodes = [
        replace(episode, policy=by_policy[episode.policy][0], training=by_policy[episode.policy][1])
        for episode in evaluations.episodes
    ]
    sides = [ComparedSide(side=Side(name), facts=table.describe_side(episodes, Side(name))) for name in side_names]
    return episodes, sides


def _find_evaluation(run_text: str, plugins: Plugins, side_groups: Sequence[Sequence[str]]) -> RunFacts:
    """Return the evaluation that a word means, of a training the newest one. Raise Rejected.

    :param side_groups: all words of the comparison.
    """
    try:
        run = find_run(run_text)
    except records.UnknownRun as unknown:
        if not any(character in run_text for character in "/:@") and not Path(run_text).exists():
            raise
        ways = _suggest_playing(side_groups, plugins)
        raise Rejected([make_problem("value-missing.evaluation", *ways, given=run_text)]) from unknown
    facts = collect.collect_facts(run, plugins, print_message, complete=False)
    if facts.progress.evaluated is None and facts.record.makes == "checkpoints":
        evaluations = collect.find_evaluations(facts.record, facts.progress, facts.outputs, plugins)
        if not evaluations:
            ways = _suggest_playing(side_groups, plugins)
            raise Rejected([make_problem("value-missing.evaluation", *ways, given=run_text)])
        name = name_index.find_unique_name(evaluations[0].run)
        print_message(f"{run_text}: its newest evaluation is {name}")
        return collect_with_results(evaluations[0].run, plugins)
    return collect_with_results(run, plugins)


def _suggest_playing(side_groups: Sequence[Sequence[str]], plugins: Plugins) -> list[Suggestion]:
    """Return the job that plays the policies of runs side by side; nothing where no installed workload does."""
    workload = next((workload for workload in plugins.workloads().values() if REFERENCE in workload.roles), None)
    roles = plugins.source_kinds()["run"].roles
    policies = [text for group in side_groups for text in group]
    if (
        workload is None
        or len(policies) < 2
        or not all(name_index.names_run(text.partition("@")[0]) for text in policies)
    ):
        return []
    policy_flags = [roles[POLICY].flag, *(roles[REFERENCE].flag for _ in policies[1:])]
    policy_options = shlex.join(itertools.chain(*zip(policy_flags, policies, strict=True)))
    line = f"robotrain submit {workload.name} {policy_options} --env ENV --platform PLATFORM --wait"
    return [Suggestion(line, "plays new episodes of each policy")]


def collect_with_results(run: str, plugins: Plugins) -> RunFacts:
    """Return the facts of an evaluation, whose results are downloaded if they are not on this machine."""
    facts = collect.collect_facts(run, plugins, print_message, complete=False)
    if facts.evaluation and facts.evaluation.results is None:
        facts = collect.collect_facts(run, plugins, print_message)
    return facts


def _name_run(text: str, facts: RunFacts) -> str:
    """Return what to call a policy: as it was typed, unless that says only which run is the newest."""
    return name_index.find_unique_name(facts.record.run) if text in NEWEST_NAMES else redact(text)


def _find_references(plan: ComparisonPlan, side_names: Sequence[str], reference_policy: str) -> list[int] | None:
    """Return the places of the policies that the others are compared with; None for all pairs."""
    if plan.margin is None:
        return None
    return [side_names.index(reference_policy)] if reference_policy else [*range(1, len(side_names))]


def _compare(
    episodes: Sequence[Observation],
    sides: Sequence[ComparedSide],
    plan: ComparisonPlan,
    references: Sequence[int] | None,
    missing: Missing | None,
    conditions: Mapping[str, Any] | None = None,
    *,
    by_training: bool = False,
) -> dict[str, Any]:
    """Return what the episodes say, as `comparison.json` has it. Raise Rejected if they have nothing in common."""
    measure = table.choose_measure([episode for episode in episodes if any(side.side.has(episode) for side in sides)])
    if measure is None:
        raise Rejected([make_problem("not-comparable.mixed")])
    try:
        measured_plan = replace(plan, measure=measure)
        if by_training or trainings.has_trainings(episodes):
            return trainings.dump_trainings(episodes, sides, measured_plan, references, conditions)
        comparison = table.compare_sides(episodes, sides, measured_plan, references, missing)
    except ValueError as error:
        raise Rejected([make_problem("value-invalid.comparison", error=str(error))]) from None
    if disjoint_verdicts := [verdict for verdict in comparison.verdicts if not verdict.pairs]:
        first_side = redact(disjoint_verdicts[0].first)
        second_side = redact(disjoint_verdicts[0].second)
        raise Rejected([make_problem("not-comparable.no-pair", first=first_side, second=second_side)])
    return table.dump_comparison(comparison, conditions)
