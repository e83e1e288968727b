"""The policies that the evaluated one is compared with: of each, the job in which it is the policy that is evaluated.

Whatever is asked of the evaluated policy (what it reads, what is wrong with it) is asked of that job. Standard library
only.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.comparison.decision import ComparisonPlan, PlannedPairs, plan_pairs
from robotrain_runtime.comparison.power import compute_power, list_discordances
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource

ROLE, POLICY_ROLE = "reference", "policy"
PARAMETERS = ("at_most", "confidence", "detect", "equal_within", "margin", "allow_floor")
"""What only a comparison reads."""
EARLIER = "earlier_comparisons"
"""The parameter with the comparisons that one may go on from."""
CONDITIONS = ("env", "env_tasks", "starts", "success_reward", "env_steps", "rename", "task_description")
"""The parameters that the outcome of an episode depends on, beside its policy and its start."""
OWN_PARAMETERS = ("policy_type", "checkpoints")
"""What is said of the evaluated policy alone."""


def plan_comparison(parameters: Mapping[str, Any], count: int) -> PlannedPairs:
    """Return how many episodes of each policy a comparison with `count` references may need."""
    plan = make_plan({name: parameters[name] for name in PARAMETERS})
    planned_pairs = plan_pairs(plan, count)
    return planned_pairs if plan.at_most is None else dataclasses.replace(planned_pairs, at_most=plan.at_most)


def describe_power(parameters: Mapping[str, Any], count: int, pair_count: int) -> str | None:
    """Return how surely so many pairs find the difference, by how often policies differ; None for other questions."""
    plan = make_plan({name: parameters[name] for name in PARAMETERS})
    if plan.margin is not None or plan.equal_within is not None:
        return None
    shares = list_discordances(plan)
    powers = [compute_power(plan, pair_count, share, count) for share in shares]
    return (
        f"A difference of {100 * plan.detect:.3g} points is found with a probability of about {_join_percents(powers)}"
        f" if only one of two policies succeeds at {_join_percents(shares)} of the starts."
    )


def _join_percents(shares: Iterable[float]) -> str:
    *other_percents, last_percent = [f"{100 * share:.0f}" for share in shares]
    return f"{', '.join(other_percents)} or {last_percent}%"


def digest_conditions(parameters: Mapping[str, Any], options: Iterable[str]) -> str:
    """Return a digest that comparisons under equal conditions have in common: listed starts in whatever order."""
    conditions = {name: parameters[name] for name in CONDITIONS}
    with contextlib.suppress(ValueError):
        starts = json.loads(str(conditions["starts"]))
        conditions["starts"] = sorted(map(json.dumps, starts)) if isinstance(starts, list) else starts
    return hashlib.sha256(json.dumps([conditions, *options], sort_keys=True).encode()).hexdigest()


def make_plan(values: Mapping[str, Any]) -> ComparisonPlan:
    """Return what a comparison is asked; None is a value that was not given."""
    return ComparisonPlan(**{name: value for name, value in values.items() if value is not None})


def list_references(sources: Iterable[JobSource]) -> list[JobSource]:
    """Return the policies to compare with, in the given order."""
    return [source for source in sources if source.role == ROLE]


def list_views(document: JobDocument, data: Folders) -> Iterator[tuple[JobDocument, dict[JobSource, Path]]]:
    """Yield, for each reference, the job that evaluates it in place of the policy, and its data."""
    shared_sources = [source for source in document.sources if source.role not in (ROLE, POLICY_ROLE)]
    for reference in list_references(document.sources):
        policy_source = dataclasses.replace(reference, role="policy")
        folders = {source: folder for source, folder in data.items() if source in shared_sources}
        if reference in data:
            folders = {policy_source: data[reference], **folders}
        yield (
            dataclasses.replace(
                document,
                sources=(policy_source, *shared_sources),
                parameters={**document.parameters, **dict.fromkeys(OWN_PARAMETERS)},
            ),
            folders,
        )
