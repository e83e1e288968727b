"""Requests for pipelines: from a pipeline file, or from a pipeline that was described in Python."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.config import job_file, overrides, project_file
from robotrain.config.request import Request
from robotrain.config.terraform import TerraformLayer
from robotrain.errors import Problem, Rejected, Stage, Suggestion, suggest_name
from robotrain.pipelines.pipeline_file import FileStep, read_pipeline_file
from robotrain.pipelines.steps import PipelineRequest, StepRequest
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.config.layers import VariableLayer
    from robotrain.config.project_file import Project
    from robotrain.model.platform import Platform
    from robotrain.plugins.manager import Plugins


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """What the steps of a pipeline share: its platform, the environment and the project file."""

    platform: Platform
    plugins: Plugins
    variables: tuple[VariableLayer, ...]
    project: Project | None

    @functools.cached_property
    def terraform(self) -> TerraformLayer:
        """The values of Terraform, read at most once."""
        return TerraformLayer(self.variables, self.project, Path.cwd())

    def make_request(self, file: job_file.JobFile | None = None) -> Request:
        """Return the request for a job below these layers."""
        return Request(file=file, variables=self.variables, project=self.project, terraform=self.terraform)

    def choose_workload(self, named: str) -> str:
        """Return the workload of a step: the named one, or that of robotrain.toml, or the default."""
        project = self.project.workload if self.project else None
        return named or (str(project.value) if project else "") or self.plugins.default_workload()


def request_from_file(path: Path, context: RequestContext, sets: Sequence[str] = ()) -> PipelineRequest:
    """Return the pipeline of a file; `sets` are changes of its steps, as STEP.KEY=VALUE."""
    file = read_pipeline_file(path)
    problems = list(file.problems)
    requests = [_make_step(step, context) for step in file.steps]
    problems += _find_strange_platforms(file.steps, context)
    if context.project:
        problems += project_file.find_unknown_tables(context.project, context.plugins)
    changes = _group_changes(sets, [step.name for step in requests], problems)
    requests = [_change_step(step, changes.get(step.name, ()), context, problems) for step in requests]
    return PipelineRequest(name=file.name, steps=tuple(requests), at_most=file.at_most, problems=tuple(problems))


def _make_step(step: FileStep, context: RequestContext) -> StepRequest:
    return StepRequest(
        name=step.name,
        where=step.where,
        request=context.make_request(step.job) if step.job else None,
        workload=context.choose_workload(step.job.workload) if step.job else "",
        model=step.model,
        policy_from=step.policy_from,
        after=step.after,
    )


def _find_strange_platforms(steps: Iterable[FileStep], context: RequestContext) -> Iterator[Problem]:
    installed = context.plugins.list_names("platform")
    for step in steps:
        yield from job_file.find_unknown_platforms(step.job, installed) if step.job else ()


def _group_changes(sets: Sequence[str], steps: Sequence[str], problems: list[Problem]) -> dict[str, list[str]]:
    """Return the changes of each step, as KEY=VALUE; a step that does not exist is a problem."""
    found: dict[str, list[str]] = {}
    for text in sets:
        step, dot, change = text.partition(".")
        if dot and step in steps:
            found.setdefault(step, []).append(change)
            continue
        key = text.partition("=")[0]
        title = f"{overrides.SET_FLAG} {redact(key)} does not begin with the name of a step"
        if not dot and key in steps:
            title = f"{overrides.SET_FLAG} {key} names no value of step {key}"
        why = f"Steps: {', '.join(map(redact, steps))}. A change is STEP.KEY=VALUE."
        rest = f".{redact(change.partition('=')[0])}=…"
        nearest = suggest_name(step, steps, f"{overrides.SET_FLAG} ") if dot else ()
        near = tuple(Suggestion(one.text + rest) for one in nearest)
        problems.append(
            Problem(
                code="set-malformed",
                stage=Stage.USAGE,
                title=title,
                where=overrides.SET_FLAG,
                why=why,
                suggestions=near,
            )
        )
    return found


def _change_step(
    step: StepRequest, changes: Sequence[str], context: RequestContext, problems: list[Problem]
) -> StepRequest:
    """Return the step with other values."""
    if not changes or step.request is None:
        if changes:
            title = f"step {step.name} registers a policy and has no values to set"
            problems.append(Problem(code="set-malformed", stage=Stage.USAGE, title=title, where=overrides.SET_FLAG))
        return step
    try:
        workload = context.plugins.workload(step.workload)
    except Rejected:  # reported with the step
        return step
    kinds = context.plugins.source_kinds()
    request, mistakes = overrides.apply_overrides(
        step.request, changes, workload, context.platform, kinds, prefix=f"{step.name}."
    )
    problems += mistakes
    return replace(step, request=request)
