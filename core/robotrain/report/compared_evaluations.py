"""Finished evaluations as the table of a comparison; those that cannot be compared are refused, with what differs."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from robotrain_runtime.comparison.decision import ComparisonPlan
from robotrain_runtime.comparison.observations import Observation, Side, find_repeated
from robotrain_runtime.comparison.record import describe_verdict
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Evaluated

from robotrain.comparison import table
from robotrain.comparison.table import ComparedSide, Comparison, describe_side
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model import scores
from robotrain.redaction import redact
from robotrain.report import comparison_record
from robotrain.report.collect import CHECKPOINT_STEP, POLICY_ROLE, RunFacts, name_sources
from robotrain.report.curves import capitalize
from robotrain.report.evaluation import EpisodeOutcome
from robotrain.report.score_table import format_date
from robotrain.store import records
from robotrain.store.run_values import find_resumed_run

make_problem = Messages(__file__)

MAX_COMPARED = 10
"""How many evaluations a page compares in pairs."""
PLAIN = "as it is"
"""What the condition of an evaluation is called that has nothing of its own."""


EPISODE_KEYS = ("env", "tasks", "starts", "env_steps", "seed", "options", "renames")
"""The conditions that an episode depends on; what counts as its success is decided afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationTable:
    """The episodes of several evaluations, and their policies."""

    episodes: Sequence[Observation]
    sides: Sequence[ComparedSide]
    conditions: Mapping[str, Any] | None
    """Those of all, by `record.CONDITION_KEYS`; None if they differ."""
    tasks: int
    """How many tasks have an episode of each seed: these are looked at together."""


def make_table(evaluations: Sequence[tuple[str, RunFacts]]) -> EvaluationTable:
    """Return the episodes of evaluations with their labels.

    Their conditions are equal, unless all are of one policy: then the conditions are compared. Raise Rejected with all
    problems.
    """
    problems = [problem for label, facts in evaluations for problem in _find_problems(label, facts)]
    raise_if_any(problems)
    conditions = [_list_conditions(facts) for _, facts in evaluations]
    digests = {get_digest(facts) for _, facts in evaluations}
    differ = [condition for condition in conditions if condition != conditions[0]]
    if differ and (len(digests) > 1 or None in digests):
        raise_if_any([_make_conditions_problem(evaluations, conditions)])
    if differ:
        raise_if_any(_find_success_rules(evaluations))
    condition_names = _name_conditions(conditions) if differ else [None] * len(evaluations)
    policy = _name_policy(evaluations[0][1]) if differ else ""
    sides = [
        Side(policy or label, name and redact(name))
        for (label, _), name in zip(evaluations, condition_names, strict=True)
    ]
    episodes = [
        episode for (_, facts), side in zip(evaluations, sides, strict=True) for episode in _list_episodes(facts, side)
    ]
    descriptions = [
        _describe(facts, side, episodes, has_conditions=bool(differ))
        for (_, facts), side in zip(evaluations, sides, strict=True)
    ]
    return EvaluationTable(
        episodes=episodes,
        sides=[
            ComparedSide(side=side, facts=description, is_complete=_is_complete(facts))
            for side, description, (_, facts) in zip(sides, descriptions, evaluations, strict=True)
        ],
        conditions=None if differ else _dump_conditions(evaluations[0][1]),
        tasks=max(1, *(len({outcome.task for outcome in _list_outcomes(facts)}) for _, facts in evaluations)),
    )


def _find_success_rules(evaluations: Sequence[tuple[str, RunFacts]]) -> Iterable[Problem]:
    """Yield a problem for evaluations of one policy that differ only in what counts as a success."""
    conditions = [_dump_conditions(facts) for _, facts in evaluations]
    played_conditions = [{name: own_conditions.get(name) for name in EPISODE_KEYS} for own_conditions in conditions]
    rules = [own_conditions.get("success_reward") for own_conditions in conditions]
    for index in range(1, len(evaluations)):
        if (
            played_conditions[index]["env"]
            and played_conditions[index] == played_conditions[0]
            and rules[index] != rules[0]
        ):
            yield make_problem("not-comparable.success-rule", first=evaluations[0][0], second=evaluations[index][0])


def find_same_policies(evaluations: Sequence[tuple[str, RunFacts]]) -> Iterable[Problem]:
    """Yield a problem for each evaluation of the same policy as an earlier one under the same conditions."""
    labels_by_policy: dict[tuple[Any, ...], str] = {}
    for label, facts in evaluations:
        key = (get_digest(facts), *_list_conditions(facts))
        earlier_label = labels_by_policy.setdefault(key, label)
        if key[0] and earlier_label != label:
            yield make_problem("not-comparable.same-policy", first=earlier_label, second=label, digest=key[0][:12])


def find_trainings(evaluations: Sequence[RunFacts]) -> list[int]:
    """Return of each evaluation the place of the first one whose policy is of the same training.

    Equal digests are one training, and so are the checkpoints of one run and of those that `resume` made of it.
    """
    trainings = list(range(len(evaluations)))
    marks = [_list_training_marks(facts) for facts in evaluations]
    for later_index, earlier_index in itertools.combinations(reversed(trainings), 2):
        if not marks[later_index].isdisjoint(marks[earlier_index]):
            first_training, joined_training = sorted((trainings[later_index], trainings[earlier_index]))
            trainings = [first_training if training == joined_training else training for training in trainings]
    return trainings


def _list_training_marks(facts: RunFacts) -> set[tuple[str, str]]:
    return list_training_marks(facts.sources, facts.training_run, get_digest(facts) or "")


def list_training_marks(sources: Iterable[JobSource], training_run: str, digest: str) -> set[tuple[str, str]]:
    """Return what policies of one training have in common: bytes, a folder of checkpoints, or a run.

    :param sources: those of the evaluation.
    :param training_run: the run that trained the policy; empty if it is not known.
    """
    marks = {("digest", digest)} if digest else set[tuple[str, str]]()
    for source in sources:
        checkpoint = CHECKPOINT_STEP.search(source.uri)
        if source.role == POLICY_ROLE and checkpoint:
            marks.add(("folder", source.uri[: checkpoint.start()]))
    run = training_run
    with contextlib.suppress(records.UnknownRun, Rejected):
        while run and not (record := records.read_record(run)).steps and ("run", run) not in marks:
            marks.add(("run", run))
            run = find_resumed_run(record)
    return marks


def _compare_groups(compared_facts: Sequence[RunFacts]) -> list[Comparison]:
    """Return the comparison of each group of evaluations with equal conditions; one alone, or too many, have none.

    Of several evaluations of one policy the first counts.
    """
    facts_by_conditions: dict[tuple[str, ...], list[RunFacts]] = {}
    for facts in compared_facts:
        label = facts.label or facts.record.run
        if not any(_find_problems(label, facts)):
            group = facts_by_conditions.setdefault(_list_conditions(facts), [])
            if not (digest := get_digest(facts)) or digest not in map(get_digest, group):
                group.append(facts)
    comparisons: list[Comparison] = []
    for group in facts_by_conditions.values():
        if 1 < len(group) <= MAX_COMPARED:
            evaluation_table = make_table([(facts.label or facts.record.run, facts) for facts in group])
            if measure := table.choose_measure(evaluation_table.episodes):
                plan = ComparisonPlan(measure=measure, block=evaluation_table.tasks)
                comparisons.append(table.compare_sides(evaluation_table.episodes, evaluation_table.sides, plan))
    return comparisons


def list_verdicts(compared_facts: Sequence[RunFacts]) -> tuple[list[str], list[str]]:
    """Return what `robotrain compare` says about each pair that shares a start, and the notes to it."""
    verdicts = list[str]()
    notes = list[str]()
    for comparison in _compare_groups(compared_facts):
        verdicts += [describe_verdict(verdict, comparison.plan) for verdict in comparison.verdicts if verdict.pairs]
        notes += comparison.notes
    return [*map(comparison_record.format_verdict, verdicts)], [f"{capitalize(note)}." for note in notes]


def dump_verdicts(compared_facts: Sequence[RunFacts]) -> list[dict[str, Any]]:
    """Return the verdicts as `robotrain compare --json` has them, with the names of both sides; the keys are an API."""
    return [
        {**asdict(verdict), "sentence": describe_verdict(verdict, comparison.plan)}
        for comparison in _compare_groups(compared_facts)
        for verdict in comparison.verdicts
    ]


def find_selection(facts: RunFacts) -> str:
    """Return how the checkpoint was chosen, if that makes its score too good; empty otherwise."""
    evaluated = facts.progress.evaluated
    _, selection = scores.split_selection(scores.format_conditions(evaluated)) if evaluated else ("", "")
    return selection if scores.BIASED in selection else ""


def _find_problems(label: str, facts: RunFacts) -> Iterable[Problem]:
    evaluated, evaluation = facts.progress.evaluated, facts.evaluation
    if evaluated is None:
        yield make_problem("not-comparable.no-score", run=label, state=facts.status.state)
    elif selection := find_selection(facts):
        yield make_problem("not-comparable.chosen", run=label, selection=selection)
    elif not scores.format_conditions(evaluated):
        yield make_problem("not-comparable.unknown-conditions", run=label)
    elif not any(_is_known(outcome) for outcome in _list_outcomes(facts)):
        remarks = "; ".join(evaluation.remarks) if evaluation else ""
        yield make_problem(
            "not-comparable.no-episodes", run=label, why=f"{remarks[:1].upper()}{remarks[1:]}." if remarks else None
        )


def _make_conditions_problem(
    evaluations: Sequence[tuple[str, RunFacts]], conditions: Sequence[tuple[str, ...]]
) -> Problem:
    other_index = next(index for index, condition in enumerate(conditions) if condition != conditions[0])
    first_conditions, other_conditions = conditions[0], conditions[other_index]
    return make_problem(
        "not-comparable.conditions",
        Suggestion("robotrain scores", "shows which evaluations have equal conditions"),
        first=evaluations[0][0],
        second=evaluations[other_index][0],
        of_first=redact(", ".join(part for part in first_conditions if part not in other_conditions) or PLAIN),
        of_second=redact(", ".join(part for part in other_conditions if part not in first_conditions) or PLAIN),
    )


def _list_conditions(facts: RunFacts) -> tuple[str, ...]:
    return list_conditions(facts.progress.evaluated, facts.values)


def list_conditions(evaluated: Evaluated | None, value_rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the parts of the conditions, with the cameras that were renamed, which no sentence names.

    :param value_rows: those of the evaluation's job.
    """
    conditions_text, _ = scores.split_selection(scores.format_conditions(evaluated)) if evaluated else ("", "")
    renames = next(
        (value_row["value"] for value_row in value_rows if value_row["name"] == "rename" and value_row["value"]), ""
    )
    return (*filter(None, conditions_text.split(", ")), *([f"renamed {renames}"] if renames else []))


def _name_conditions(conditions: Sequence[tuple[str, ...]]) -> list[str]:
    """Return of each evaluation the parts of its conditions that are not those of all."""
    counts = Counter(part for condition in conditions for part in {*condition})
    condition_names = [
        ", ".join(part for part in condition if counts[part] < len(conditions)) or PLAIN for condition in conditions
    ]
    return [
        name if condition_names.count(name) == 1 else f"{name}, {number}"
        for number, name in enumerate(condition_names, 1)
    ]


def _name_policy(facts: RunFacts) -> str:
    return name_sources(facts.sources, POLICY_ROLE, facts.training_run) or facts.record.run


def get_digest(facts: RunFacts) -> str | None:
    """Return the digest of the policy of an evaluation; None if it is not known."""
    return (facts.results.policy.get("sha256") if facts.results else None) or None


def _list_outcomes(facts: RunFacts) -> Sequence[EpisodeOutcome]:
    return facts.results.outcomes if facts.results else ()


def _is_known(outcome: EpisodeOutcome) -> bool:
    return (outcome.trial is not None or outcome.seed is not None) and (
        outcome.success is not None or outcome.score is not None
    )


def _is_complete(facts: RunFacts) -> bool:
    """Return whether each episode that an evaluation counts has an outcome: it did not break off."""
    evaluated, outcomes = facts.progress.evaluated, _list_outcomes(facts)
    return evaluated is not None and len(outcomes) >= (evaluated.episodes or 0) and all(map(_is_known, outcomes))


def _list_episodes(facts: RunFacts, side: Side) -> list[Observation]:
    """Return the episodes in the order of their starts: of several tasks the first of each, then the second."""
    by_task: dict[str, list[EpisodeOutcome]] = {}
    for outcome in filter(_is_known, _list_outcomes(facts)):
        by_task.setdefault(outcome.task, []).append(outcome)
    outcomes = [outcome for turn in itertools.zip_longest(*by_task.values()) for outcome in turn if outcome]
    observations = [
        Observation(
            policy=side.policy,
            start="/".join(filter(None, (outcome.task, str(outcome.seed if outcome.trial is None else outcome.trial)))),
            success=outcome.success,
            score=outcome.score,
            condition=side.condition or "",
        )
        for outcome in outcomes
    ]
    repeated_ids = {id(observation) for observation in find_repeated(observations)}
    return [observation for observation in observations if id(observation) not in repeated_ids]


def _describe(facts: RunFacts, side: Side, episodes: Sequence[Observation], *, has_conditions: bool) -> dict[str, Any]:
    policy = facts.results.policy if facts.results else {}
    policy_facts = {name: value for name, value in policy.items() if value is not None}
    counted_facts = {name: value for name, value in describe_side(episodes, side).items() if value is not None}
    return {
        **counted_facts,
        "name": _name_policy(facts),
        **policy_facts,
        "run": facts.record.run,
        "date": format_date(facts.record.created),
        "results": facts.evaluation.folder or None if facts.evaluation else None,
        "conditions": _dump_conditions(facts) if has_conditions else None,
    }


def _dump_conditions(facts: RunFacts) -> dict[str, Any]:
    conditions = facts.results.conditions if facts.results else {}
    values_by_name = {value["name"]: value["value"] for value in facts.values}
    reported = {name: value for name, value in conditions.items() if value is not None}
    return {"renames": values_by_name.get("rename"), "lerobot": values_by_name.get("lerobot_version"), **reported}
