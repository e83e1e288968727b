"""The end of a dry run: what a submit will do, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.cli.output import format_table
from robotrain.model.job import Job
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.preview import JobFacts, RunPlace
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.submission.prepare import InputStep
from robotrain.submission.preview import PreviewRow, list_hidden_differences, list_preview_rows

MARK, LEGEND = "*", "not the trainer's own default"


class PreviewedStep(NamedTuple):
    """The rows of a step of a pipeline, or of the only job."""

    name: str
    """The step; empty outside a pipeline."""
    rows: Sequence[PreviewRow]
    hidden: str = ""
    """The defaults that are robotrain's own and that no row shows."""


def preview_steps(rendered_plan: RenderedPlan, step_facts: Iterable[tuple[InputStep, JobFacts]]) -> list[PreviewedStep]:
    """Return the rows of each job whose inputs were compared."""
    steps = []
    for step, facts in step_facts:
        job = step.job
        if job.workload:
            # the folder of a step has a name that is not known yet
            place = job.describe_run()._replace(folder="") if step.name else job.describe_run(rendered_plan.plan.run)
            steps.append(_preview_job(step.name, job.job, job.values, job.workload, job.platform, place, facts))
    return steps


def preview_plan(rendered_plan: RenderedPlan, platform: Platform, plugins: Plugins) -> list[PreviewedStep]:
    """Return the rows of a plan whose sources are not read, as it was rendered before; none of a pipeline."""
    if rendered_plan.steps:
        return []
    plan = rendered_plan.plan
    setting_names = {parameter.name for parameter in get_parameters(platform.settings)}
    settings = platform.settings(
        **{name: value for name, value in rendered_plan.settings.items() if name in setting_names}
    )
    run_place = platform.plans.describe_run(plan.job, settings, plan.run)
    workload = plugins.workload(plan.job.workload)
    return [_preview_job("", plan.job, rendered_plan.values, workload, platform, run_place, JobFacts())]


def _preview_job(
    name: str,
    job: Job,
    value_rows: Sequence[Mapping[str, Any]],
    workload: Workload,
    platform: Platform,
    run_place: RunPlace,
    facts: JobFacts,
) -> PreviewedStep:
    rows = [*list_preview_rows(job, workload, platform, run_place, facts, value_rows)]
    return PreviewedStep(name, rows, list_hidden_differences(value_rows, workload.preview.rows.values()))


def dump_preview(preview: Iterable[PreviewedStep]) -> list[Mapping[str, str]]:
    """Return the rows as data."""
    return [{"step": step.name, **row._asdict()} for step in preview for row in step.rows]


def format_preview(rendered: RenderedPlan, preview: Sequence[PreviewedStep]) -> str:
    """Return the rows as a table, one below the other for each step, with a legend for what is marked."""
    noun = "trial" if rendered.plan.job.profile.outputs.is_sweep else "step"
    table = [("run", rendered.plan.run)]
    table += [(f"{noun}s", ", ".join(rendered.steps))] if rendered.steps else []
    for step in preview:
        table += [("", ""), (noun, step.name)] if step.name else []
        table += [(row.name, f"{row.value} {MARK} ({row.differs})" if row.differs else row.value) for row in step.rows]
    hidden_names = ", ".join(dict.fromkeys(step.hidden for step in preview if step.hidden))
    if hidden_names or any(row.differs for step in preview for row in step.rows):
        table.append((MARK, f"{LEGEND}{f'; others that are not: {hidden_names}' if hidden_names else ''}"))
    return format_table(table)
