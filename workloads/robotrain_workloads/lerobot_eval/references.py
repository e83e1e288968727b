"""The policies that the evaluated one is compared with: of each, the job in which it is the policy that is evaluated.

Whatever is asked of the evaluated policy (what it reads, what is wrong with it) is asked of that job. Standard library
only.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.comparison.decision import ComparisonPlan, PlannedPairs, plan_pairs
from robotrain_runtime.contract.document import JobDocument, JobSource

ROLE, POLICY_ROLE = "reference", "policy"
PARAMETERS = ("at_most", "confidence", "detect", "equal_within", "margin", "allow_floor")
"""What only a comparison reads."""
OWN_PARAMETERS = ("policy_type", "checkpoints")
"""What is said of the evaluated policy alone."""


def plan_comparison(values: Mapping[str, Any], count: int) -> PlannedPairs:
    """Return how many episodes of each policy a comparison with `count` references may need."""
    plan = make_plan({name: values[name] for name in PARAMETERS})
    planned = plan_pairs(plan, count)
    return planned if plan.at_most is None else dataclasses.replace(planned, at_most=plan.at_most)


def make_plan(values: Mapping[str, Any]) -> ComparisonPlan:
    """Return what a comparison is asked; None is a value that was not given."""
    return ComparisonPlan(**{name: value for name, value in values.items() if value is not None})


def list_references(sources: Iterable[JobSource]) -> list[JobSource]:
    """Return the policies to compare with, in the given order."""
    return [source for source in sources if source.role == ROLE]


def list_views(
    document: JobDocument, data: Mapping[JobSource, Path]
) -> Iterator[tuple[JobDocument, dict[JobSource, Path]]]:
    """Yield, for each reference, the job that evaluates it in place of the policy, and its data."""
    shared = [source for source in document.sources if source.role not in (ROLE, POLICY_ROLE)]
    for reference in list_references(document.sources):
        own = dataclasses.replace(reference, role="policy")
        folders = {source: folder for source, folder in data.items() if source in shared}
        if reference in data:
            folders = {own: data[reference], **folders}
        parameters = {**document.parameters, **dict.fromkeys(OWN_PARAMETERS)}
        yield dataclasses.replace(document, sources=(own, *shared), parameters=parameters), folders
