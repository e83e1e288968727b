"""The jobs of a pipeline's steps, completed with the outputs of the steps that they read."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config.values import Origin
from robotrain.errors import Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan
from robotrain.model.platform import Platform
from robotrain.model.reference import LOGIN_KEY
from robotrain.model.run import Output, locate_output
from robotrain.model.source import LOCAL_KIND, SourceError
from robotrain.pipelines.checkpoint_handover import find_taken_checkpoints
from robotrain.pipelines.plan import (
    PIPELINE_FILE,
    PipelinePlan,
    PlannedStep,
    get_payload_path,
    list_step_values,
    parse_pipeline,
)
from robotrain.plugins import site
from robotrain.plugins.manager import Plugins
from robotrain.store import records
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import replace_sources, restore_settings

make_problem = Messages(__file__)

RUN_KIND = "run"
"""The source kinds that read the policy of a run, and a folder of this machine."""


class StepJobs:
    """The jobs of a plan's steps, each rebuilt as it was checked, with its payload."""

    def __init__(self, plan: Plan, values: Sequence[Mapping[str, Any]], platform: Platform, plugins: Plugins) -> None:
        self.plan: PipelinePlan = parse_pipeline(plan.files[PIPELINE_FILE])
        self._files, self._values = plan.files, values
        self._platform, self._plugins = platform, plugins

    def make_job(self, step: PlannedStep) -> PreparedJob:
        """Return the job of a step. Raise Rejected."""
        settings, setting_problems = restore_settings(step.settings, self._platform, Origin("pipeline", self.plan.run))
        raise_if_any(setting_problems)
        job = Job(
            workload=step.workload,
            parameters=tuple(step.parameters.items()),
            sources=step.sources,
            trainer_args=step.trainer_args,
            profile=self._plugins.workload(step.workload).profile,
            program_lock=step.program_lock,
            program_python=step.program_python,
            program_files=step.program_files,
        )
        return PreparedJob(
            job=job,
            platform=self._platform,
            settings=settings,
            kinds=self._plugins.source_kinds(),
            container_plugins=step.container_plugins,
            payload=Payload(self._files[get_payload_path(step.payload)]),
            values=tuple(list_step_values(self._values, step.name)),
            produces=step.produces,
            platforms=self._plugins.platforms,
        )

    def complete_job(self, step: PlannedStep, runs: Mapping[str, str]) -> PreparedJob:
        """Return the job of a step with what it takes from the runs of other steps. Raise Rejected."""
        prepared = self.make_job(step)
        if not step.inputs:
            return prepared
        maker = {step_input.role: step_input.step for step_input in step.inputs}
        source_by_role = {role: self._find_input(role, runs[name], name, prepared) for role, name in maker.items()}
        sources = tuple(
            source_by_role[source.role] if source.kind == STEP_KIND else source for source in prepared.job.sources
        )
        rows = {
            role: {"value": f"{source.kind} {source.uri}", "origin": f"step {maker[role]}, {runs[maker[role]]}"}
            for role, source in source_by_role.items()
        }
        value_rows = tuple({**row, **rows.get(row["name"], {})} for row in prepared.values)
        prepared = dataclasses.replace(prepared, values=value_rows)
        prepared = replace_sources(prepared, sources, self._plugins)
        workload = self._plugins.workload(step.workload)
        raise_if_any([*workload.check(prepared.job), *self._platform.plans.check(prepared.job, prepared.settings)])
        name = self._platform.name
        return dataclasses.replace(  # what it reads now may imply other sources
            prepared, workload=workload, check_site=lambda job: site.find_site_problems(self._plugins, job, name)
        )

    def _find_input(self, role: str, run: str, step: str, prepared: PreparedJob) -> JobSource:
        """Return what the run of a step made, checked where it lies on this machine. Raise Rejected."""
        record = records.read_record(run)
        host = record.reference.get(LOGIN_KEY, "")
        listed_outputs = self._plugins.platform(record.platform).engine.outputs(record.reference)
        outputs = [locate_output(output, host) for output in listed_outputs]
        rule = self._plugins.workload(prepared.job.workload).roles[role]
        try:
            if rule.takes == "checkpoints":
                has_all = find_taken_checkpoints(prepared.job, rule) is not None
                source = _find_policy(run, outputs, role, prepared, has_all)
            else:
                folder = record.outputs.folder
                output = next((output for output in outputs if output.name.rpartition("/")[2] == folder), None)
                if output is None:
                    raise SourceError(f"There is no {folder} among its outputs.")
                source = JobSource(role=role, kind=output.source, uri=output.uri)  # type: ignore[arg-type] # a role
        except SourceError as error:
            problem = make_problem("step-output-missing.nothing-left", given=run, step=step, role=role, why=error.why)
            raise Rejected([problem]) from None
        support = self._platform.capabilities.source(role, prepared.kinds[source.kind])
        if not support:
            problem = make_problem(
                "source-not-accepted",
                name=self._platform.name,
                role=role,
                step=step,
                kind=source.kind,
                why=support.reason,
            )
            raise Rejected([problem])
        return source


def _find_policy(
    run: str, outputs: Sequence[Output], role: str, prepared: PreparedJob, has_all: bool = False
) -> JobSource:
    """Return the newest policy of a run. Raise SourceError if it has none, or a damaged one.

    :param has_all: return the folder of all its checkpoints instead.
    """
    checkpoints = [output for output in outputs if output.kind == "checkpoint"]
    if not checkpoints:
        raise SourceError(f"{run} has no complete checkpoint.")
    newest_checkpoint = checkpoints[-1]
    if (
        newest_checkpoint.source == LOCAL_KIND
        and newest_checkpoint.digest
        and (damage := checkpoint.validate_checkpoint(Path(newest_checkpoint.uri)))
    ):
        raise SourceError(f"{damage}.")
    reader = prepared.kinds.get(RUN_KIND)
    if reader is not None and role in reader.roles and newest_checkpoint.step is not None:
        checkpoint_suffix = reader.all_checkpoints if has_all else f"@{newest_checkpoint.step}"
        source = reader.parse(f"{run}{checkpoint_suffix}", Path("/"))
    else:
        source = prepared.kinds[newest_checkpoint.source].parse(newest_checkpoint.uri, Path("/"))
    return JobSource(role=role, kind=source.kind, uri=str(source))  # type: ignore[arg-type] # a role of the workload


def list_distinct_roots(plan: PipelinePlan) -> Iterator[PlannedStep]:
    """Yield the steps that take nothing from others, but only one of those that read the same in the same way."""
    seen_keys = set[str]()
    for step in plan.steps:
        key = repr((step.workload, step.sources, step.settings))
        if not step.inputs and key not in seen_keys:
            seen_keys.add(key)
            yield step
