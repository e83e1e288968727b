"""The requested steps of a pipeline, their graph, and the source kind of outputs that steps read from each other."""

import graphlib
import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config.request import Request
from robotrain.config.values import SourceText
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.model.support import ANY, YES, no
from robotrain.nearest_name import suggest_name
from robotrain.pipelines.plan import StepInput
from robotrain.redaction import redact

make_problem = Messages(__file__)

NAME_PATTERN = "[A-Za-z][A-Za-z0-9_-]{0,39}"
MAX_STEPS = 1000


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
        unsupported={ANY: YES} | {role: no("No step makes it.") for role, is_taken in roles.items() if not is_taken},
    )


@dataclass(frozen=True, kw_only=True)
class StepRequest:
    """A requested step."""

    name: str
    where: str = ""
    request: Request
    workload: str = ""
    """The name of the job's workload; empty for the default one."""
    after: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[StepInput, ...]:
        """What the step takes of others, in the order given."""
        source_texts: list[SourceText] = []
        for layer in self.request.layers:
            source_texts += [
                source_text
                for source_text in layer.sources
                if source_text.role not in {stronger_text.role for stronger_text in source_texts}
            ]
        return tuple(
            StepInput(source_text.role, source_text.text.strip())
            for source_text in source_texts
            if STEP_KIND in source_text.kinds
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """The steps that must succeed before, each once."""
        needed_steps = (*(step_input.step for step_input in self.inputs), *self.after)
        return tuple(dict.fromkeys(filter(None, needed_steps)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRequest:
    """A requested pipeline."""

    name: str
    steps: tuple[StepRequest, ...]
    at_most: int | None = None
    problems: tuple[Problem, ...] = ()
    sweep: Mapping[str, Any] = field(default_factory=dict)
    """Of a sweep, whose steps are its trials: what they differ in."""


def order_steps(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names in an order in which each step comes after those it needs, and else as given.

    Raise graphlib.CycleError.

    :param needs: by step, those that must succeed before.
    """
    position = {name: index for index, name in enumerate(needs)}
    sorter = graphlib.TopologicalSorter(needs)
    sorter.prepare()
    ready_steps: list[tuple[int, str]] = []
    order: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready_steps, (position[name], name))
        _, name = heapq.heappop(ready_steps)
        order.append(name)
        sorter.done(name)
    return order


def check_graph(steps: Sequence[StepRequest], at_most: int | None, engine: Platform | None) -> Iterator[Problem]:
    """Yield every problem of names, references and counts.

    :param at_most: how many may run at once; None for all.
    :param engine: the platform that runs all steps as one submission; None if this machine starts each one.
    """
    if not steps:
        yield make_problem("pipeline-empty")
    limit = engine.capabilities.limits.get("steps", MAX_STEPS) if engine else MAX_STEPS
    max_steps = min(limit, MAX_STEPS)
    if len(steps) > max_steps:
        name = engine.name if engine and limit < MAX_STEPS else "robotrain"
        yield make_problem(
            "steps-over-limit", where=steps[max_steps].where, name=name, most=max_steps, count=len(steps)
        )
    if engine and at_most is not None:
        yield make_problem("options-conflict.at-most", name=engine.name)
    yield from _check_names(steps)
    step_names = {step.name for step in steps}
    for step in steps:
        for name in step.needs:
            if name not in step_names:
                yield make_problem(
                    "step-unknown",
                    *suggest_name(name, step_names),
                    where=step.where,
                    name=redact(step.name),
                    wanted=redact(name),
                )
    for cycle in _find_cycles(steps):
        location = next(step.where for step in steps if step.name == cycle[0])
        yield make_problem("step-cycle", where=location, shown=" → ".join(map(redact, cycle)))


def _find_cycles(steps: Sequence[StepRequest]) -> Iterator[list[str]]:
    """Yield cycles without a common step, from a step that is needed to the one that needs it."""
    needs_by_step = {step.name: step.needs for step in steps}
    while True:
        try:
            order_steps(
                {step: [name for name in needs if name in needs_by_step] for step, needs in needs_by_step.items()}
            )
            return
        except graphlib.CycleError as error:
            yield list(reversed(error.args[1]))
            needs_by_step = {name: needs for name, needs in needs_by_step.items() if name not in error.args[1]}


def _check_names(steps: Sequence[StepRequest]) -> Iterator[Problem]:
    step_by_name: dict[str, StepRequest] = {}
    for step in steps:
        if not re.fullmatch(NAME_PATTERN, step.name):
            yield make_problem("step-name-invalid", where=step.where, name=redact(step.name))
        same_named_step = step_by_name.setdefault(step.name.casefold().replace("-", "_"), step)
        if same_named_step is not step:
            message = "step-name-repeated.same" if same_named_step.name == step.name else "step-name-repeated.alike"
            name = redact(step.name)
            other_name = redact(same_named_step.name)
            yield make_problem(message, where=step.where, name=name, other=other_name, place=same_named_step.where)
