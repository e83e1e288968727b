"""The end of a dry run: what a submit will do, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.cli.output import format_table
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.preview import JobFacts, RunPlace
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.submission.prepare import InputStep, PreparedJob
from robotrain.submission.preview import PreviewRow, list_hidden_differences, list_preview_rows

MARK, LEGEND = "*", "not the trainer's own default"


class PreviewedStep(NamedTuple):
    """The rows of a step of a pipeline, or of the only job."""

    name: str
    """The step; empty outside a pipeline."""
    rows: Sequence[PreviewRow]
    hidden: str = ""
    """The defaults that are robotrain's own and that no row shows."""


class DryRun(NamedTuple):
    """The plan of a dry run, and its preview."""

    rendered: RenderedPlan
    preview: Sequence[PreviewedStep]


def preview_steps(rendered_plan: RenderedPlan, step_facts: Iterable[tuple[InputStep, JobFacts]]) -> list[PreviewedStep]:
    """Return the rows of each job whose inputs were compared."""
    return [
        _preview_job(
            step.name, step.job, step.job.workload, step.job.platform, _describe_place(rendered_plan, step), facts
        )
        for step, facts in step_facts
        if step.job.workload
    ]


def _describe_place(rendered: RenderedPlan, step: InputStep) -> RunPlace:
    """Return where the run works; the folder of a step has a name that is not known yet."""
    return step.job.describe_run()._replace(folder="") if step.name else step.job.describe_run(rendered.plan.run)


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
    return [_preview_job("", rendered_plan, plugins.workload(plan.job.workload), platform, run_place, JobFacts())]


def _preview_job(
    name: str,
    job: PreparedJob | RenderedPlan,
    workload: Workload,
    platform: Platform,
    run_place: RunPlace,
    facts: JobFacts,
) -> PreviewedStep:
    resolved_job = job.plan.job if isinstance(job, RenderedPlan) else job.job
    rows = [*list_preview_rows(resolved_job, workload, platform, run_place, facts, job.values)]
    return PreviewedStep(name, rows, list_hidden_differences(job.values, workload.preview.rows.values()))


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
