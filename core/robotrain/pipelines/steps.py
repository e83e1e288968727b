"""The steps of a pipeline: their graph, what they take from each other, and the source that stands for it."""

from __future__ import annotations

import graphlib
import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.errors import Problem, Stage, Suggestion, suggest_name
from robotrain.model.capabilities import ANY, YES, no
from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.model.platform import Platform

NAME_PATTERN = "[A-Za-z][A-Za-z0-9_-]{0,39}"
MAX_STEPS = 1000
MAX_SHOWN = 8
"""How many steps of a cycle a message names."""


@dataclass(frozen=True, slots=True)
class StepSource:
    """What a step makes, as an input of another one."""

    kind: ClassVar[str] = STEP_KIND
    step: str

    def __str__(self) -> str:
        return self.step


def make_step_kind(roles: Mapping[str, bool], name: str = STEP_KIND) -> SourceKind:
    """Return the kind of sources that steps make. No flag and no variable names one.

    :param roles: every role, and whether a step can fill it.
    """

    def parse(text: str, base: Path) -> StepSource:
        if not text.strip():
            raise SourceError("The name of the step is missing.")
        return StepSource(text.strip())

    return SourceKind(
        name=name,
        title="steps of the same pipeline",
        form="STEP",
        help="What an earlier step of the same pipeline makes.",
        roles=dict.fromkeys(roles, RoleFlag("from:", repeatable=False)),
        recognizes=lambda text: False,
        parse=parse,
        unsupported={ANY: YES} | {role: no("No step makes it.") for role, taken in roles.items() if not taken},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNode:
    """A step in the graph of a pipeline."""

    name: str
    where: str = ""
    """The place of its description."""
    needs: tuple[str, ...] = ()
    """The steps that must succeed before, each once."""


def order_steps(nodes: Sequence[StepNode]) -> list[str]:
    """Return the names in an order in which each step comes after those it needs, and else as described.

    Raise graphlib.CycleError.
    """
    position = {node.name: at for at, node in enumerate(nodes)}
    sorter = graphlib.TopologicalSorter({node.name: node.needs for node in nodes})
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    order: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (position[name], name))
        _, name = heapq.heappop(ready)
        order.append(name)
        sorter.done(name)
    return order


def check_graph(nodes: Sequence[StepNode], engine: Platform | None) -> Iterator[Problem]:
    """Yield every problem of names, references and counts.

    :param engine: the platform that runs all steps as one submission; None if this machine starts each one.
    """
    if not nodes:
        yield _make_problem("pipeline-empty", "the pipeline has no steps")
    limit = engine.capabilities.limits.get("steps", MAX_STEPS) if engine else MAX_STEPS
    most = min(limit, MAX_STEPS)
    if len(nodes) > most:
        name = engine.name if engine and limit < MAX_STEPS else "robotrain"
        title = f"{name} takes at most {most} steps in a pipeline, but this one has {len(nodes)}"
        ways = [Suggestion("at_most: 2", "in the pipeline's file: this machine starts each step")]
        more = ways if limit < MAX_STEPS and len(nodes) <= MAX_STEPS else []
        yield _make_problem("steps-over-limit", title, nodes[most].where, "", *more, stage=Stage.CHECK)
    yield from _check_names(nodes)
    known = {node.name for node in nodes}
    for node in nodes:
        for name in node.needs:
            if name not in known:
                title = f"step {redact(node.name)} refers to step {redact(name)!r}, which does not exist"
                yield _make_problem("step-unknown", title, node.where, "", *suggest_name(name, known))
    for steps in _find_cycles(nodes):
        shown = [*steps[:MAX_SHOWN], "…"] if len(steps) > MAX_SHOWN + 1 else steps
        title = f"steps wait for each other: {' → '.join(map(redact, shown))}"
        where = next(node.where for node in nodes if node.name == steps[0])
        yield _make_problem("step-cycle", title, where, "An arrow points to the step that waits.")


def _find_cycles(nodes: Sequence[StepNode]) -> Iterator[list[str]]:
    """Yield cycles without a common step, from a step that is needed to the one that needs it."""
    left = {node.name: node for node in nodes}
    while True:
        try:
            order_steps(
                [replace(one, needs=tuple(name for name in one.needs if name in left)) for one in left.values()]
            )
            return
        except graphlib.CycleError as error:
            yield list(reversed(error.args[1]))
            left = {name: node for name, node in left.items() if name not in error.args[1]}


def _check_names(nodes: Sequence[StepNode]) -> Iterator[Problem]:
    first: dict[str, StepNode] = {}
    for node in nodes:
        if not re.fullmatch(NAME_PATTERN, node.name):
            title = f"{redact(node.name)!r} is not a name for a step"
            why = "A name has at most 40 letters, digits, `-` and `_`, and begins with a letter."
            yield _make_problem("step-name-invalid", title, node.where, why)
        same = first.setdefault(node.name.casefold().replace("-", "_"), node)
        if same is not node:
            title = f"two steps are named {redact(same.name)}"
            if same.name != node.name:
                title = f"the steps {redact(same.name)} and {redact(node.name)} have equal names"
            why = f"The other one is at {same.where}. Case, and `-` or `_`, make no difference."
            yield _make_problem("step-name-repeated", title, node.where, why)


def _make_problem(
    code: str, title: str, where: str = "", why: str = "", *suggestions: Suggestion, stage: Stage = Stage.PARSE
) -> Problem:
    return Problem(code=code, stage=stage, title=title, where=where, why=why, suggestions=suggestions)
