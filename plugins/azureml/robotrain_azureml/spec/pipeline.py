"""Rendering of a pipeline's steps to the plan of one pipeline job, and back to the plan of each step. Pure.

A step has the plan that its job would have alone, below `steps/NAME`, but for its job file: that is the step's entry of
the pipeline job, so that each value is written once. What a later step reads is an output of its own.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from robotrain.cluster import spec_patch
from robotrain.errors import Rejected, Stage, raise_if_any
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain.model.workload_profile import OutputProfile
from robotrain_azure.workspace import WORKSPACE_FLAGS
from robotrain_runtime.contract.document import parse_document

from robotrain_azureml.spec import command_job, job_settings, render, submission_spec
from robotrain_azureml.spec import inputs as spec_inputs
from robotrain_azureml.spec.command_job import Expression
from robotrain_azureml.spec.pipeline_spec import (
    PIPELINE_SPEC,
    STEP_TAG,
    AzureMLPipelineSpec,
    StepFacts,
    StepSpec,
    make_step_folder,
    parse_steps,
)
from robotrain_azureml.spec.submission_spec import CODE_FOLDER, AzureMLSubmissionSpec

make_problem = Messages(__file__)

PIPELINE_FILE = "pipeline-job.yaml"
PIPELINE_SCHEMA = "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json"
HANDOVER = "handover"
"""The output of a step that later ones read."""
PIPELINE_VARIABLE, ROOT_VARIABLE = "ROBOTRAIN_PIPELINE_JOB", "AZUREML_ROOT_RUN_ID"
"""Variables of a step: the pipeline job that its folders are named by, and the one that Azure ML runs."""
MAX_BYTES = 4 * 1024 * 1024
"""The size of a request to Azure's resource manager. The request has the size of the document, within a few percent.

Azure ML's own limit, 30,000 steps, is beyond that of robotrain.
"""
_COMPONENT_KEYS = ("command", "environment")
_NODE_KEYS = (
    *("compute", "resources", "distribution", "limits", "identity", "environment_variables"),
    *("inputs", "outputs"),
)


def is_pipeline(plan: Plan) -> bool:
    """Return whether a plan is that of a pipeline."""
    return plan.spec == PIPELINE_FILE


def make_key(name: str) -> str:
    """Return the name of a step in the pipeline job: small letters, digits, underscores.

    The names of two steps differ in more than case, `-` and `_`.
    """
    return name.lower().replace("-", "_")


def render_pipeline(steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]) -> Plan:
    """Return the plan of one pipeline job. Raise Rejected for what one pipeline job cannot hold."""
    raise_if_any(spec_patch.check_steps(steps))
    outputs = {step.name: step.job.profile.outputs.folder for step in steps}
    rendered_steps = [_render_step(step, run, finished, outputs) for step in steps]
    spec = AzureMLPipelineSpec(run=run, steps=tuple(rendered_step.spec for rendered_step in rendered_steps))
    first_workspace = spec.steps[0].submission.target_workspace
    problems = []
    for step in spec.steps:
        if (step_workspace := step.submission.target_workspace) != first_workspace:
            flag_rows = zip(WORKSPACE_FLAGS, first_workspace, step_workspace, strict=True)
            flag, first_value, step_value = next(row for row in flag_rows if row[1] != row[2])
            both_values = f"{first_value}, {step_value}"
            problems.append(
                make_problem("steps-differ", where=flag, given=both_values, first=spec.steps[0].name, second=step.name)
            )
    if problems:
        raise Rejected(problems)
    experiment = job_settings.get_experiment_name(steps[0].job)
    titles = {step.settings.display_name for step in steps}
    document = command_job.dump_yaml(
        {
            "$schema": PIPELINE_SCHEMA,
            "type": "pipeline",
            "name": run,
            "display_name": (titles.pop() if len(titles) == 1 else None) or run,
            "experiment_name": experiment,
            "tags": {command_job.RUN_TAG: run, command_job.DIGEST_TAG: job.digest},
            "settings": {"continue_on_step_failure": False, "force_rerun": True},
            "jobs": {rendered_step.spec.key: rendered_step.node for rendered_step in rendered_steps},
        }
    ).encode()
    if len(document) > MAX_BYTES:
        size = len(document)
        count = len(steps)
        raise Rejected(
            [
                make_problem(
                    "steps-over-limit",
                    fitting=count * MAX_BYTES // size,
                    count=count,
                    size=format_size(size),
                    most=format_size(MAX_BYTES),
                )
            ]
        )
    files = {path: file_bytes for rendered_step in rendered_steps for path, file_bytes in rendered_step.files.items()}
    return Plan(
        platform="azureml",
        run=run,
        job=job,
        spec=PIPELINE_FILE,
        files={PIPELINE_FILE: document, PIPELINE_SPEC.name: PIPELINE_SPEC.dump(spec), **files},
        shown=(PIPELINE_FILE,),
    )


class _RenderedStep(NamedTuple):
    spec: StepSpec
    node: dict[str, Any]
    files: Mapping[str, bytes]


def _render_step(
    step: PipelineStep, run: str, finished: Mapping[str, Reference], outputs_of: Mapping[str, str]
) -> _RenderedStep:
    """Return a step. `outputs_of`: by step of this pipeline, the output that it always has."""
    name = f"{run}-{step.name}"
    body, placement, submission = render.render_job(step.job, step.settings, name)
    input_names = {needed_step: f"step_{make_key(needed_step)}" for needed_step in step.takes}
    ports = {input_names[needed_step]: _make_input(needed_step, HANDOVER, finished) for needed_step in input_names}
    for needed_step in step.needs:  # Azure ML knows no other order than that of what is read
        if needed_step in outputs_of and needed_step not in input_names:
            ports[f"after_{make_key(needed_step)}"] = _make_input(needed_step, outputs_of[needed_step], finished)
    body["inputs"] = {**body.get("inputs", {}), **ports}
    set_pipeline_job(body, step.settings.datastore, name, run)
    uri = spec_inputs.make_output_uri(step.settings.datastore, name, HANDOVER)
    if step.hands_over:
        body["outputs"] = {**body["outputs"], HANDOVER: {"type": "uri_folder", "mode": "upload", "path": uri}}
    folders = {needed_step: f"${{AZURE_ML_INPUT_{input_names[needed_step]}}}" for needed_step in input_names}
    mounts = [dataclasses.replace(mount, origin=f"step {mount.uri}") for mount in step.list_mounts(folders)]
    placement = dataclasses.replace(
        placement,
        mounts=(*placement.mounts, *mounts),
        kept_for={ROOT_VARIABLE: f"${{{PIPELINE_VARIABLE}}}"},
        kept_as=spec_inputs.make_output_uri(step.settings.datastore, name, step.job.profile.outputs.folder),
        handover=f"${{AZURE_ML_OUTPUT_{HANDOVER}}}" if step.hands_over else "",
    )
    folder = make_step_folder(step.name)
    files = render.make_code(step.job, name, step.payload, step.container_plugins, placement)
    outputs = step.job.profile.outputs
    spec = StepSpec(
        name=step.name,
        key=make_key(step.name),
        needs=step.needs,
        results=bool(outputs.complete_file),
        resumable=outputs.resumable,
        submission=submission,
    )
    node = make_node(body, f"{folder}/{CODE_FOLDER}", step.name)
    return _RenderedStep(spec, node, {f"{folder}/{path}": file_bytes for path, file_bytes in files.items()})


def set_pipeline_job(body: dict[str, Any], datastore: str, name: str, pipeline: str) -> None:
    """Set the folders of a step's outputs by its name, and the pipeline job that they belong to.

    Azure ML names the jobs of steps by itself, and what a finished step left is found by the pipeline job's name: so
    the paths are fixed, and the step refuses to start in a pipeline job that somebody sent under another name.
    """
    for output, output_entry in body["outputs"].items():
        output_entry["path"] = spec_inputs.make_output_uri(datastore, name, output)
    body["environment_variables"] = {**body["environment_variables"], PIPELINE_VARIABLE: pipeline}


def _make_input(source_step: str, output: str, finished_steps: Mapping[str, Reference]) -> dict[str, str]:
    """Return the input that is an output of a step: of this pipeline, or of the one that finished it."""
    path: str = Expression(f"${{{{parent.jobs.{make_key(source_step)}.outputs.{output}}}}}")
    if reference := finished_steps.get(source_step):
        facts = parse_steps(reference)[source_step]
        path = spec_inputs.make_output_uri(facts.datastore, f"{reference['job']}-{source_step}", output)
    return {"type": "uri_folder", "mode": "ro_mount", "path": path}


def make_node(body: Mapping[str, Any], code: str, name: str) -> dict[str, Any]:
    """Return a command job as a step of a pipeline job: a component and its inputs.

    A component of its own is the only form that the SDK takes `is_deterministic` in; otherwise Azure ML may answer
    with what an equal step made before.
    """
    ports = {
        section: {
            port: {"type": port_spec["type"], "mode": port_spec["mode"]} for port, port_spec in body[section].items()
        }
        for section in ("inputs", "outputs")
        if body.get(section)
    }
    component = {
        "type": "command",
        "is_deterministic": False,
        "code": code,
        **{key: body[key] for key in _COMPONENT_KEYS},
        **ports,
    }
    return {
        "type": "command",
        "display_name": body["display_name"],
        "tags": {**body["tags"], STEP_TAG: name},
        "component": component,
        **{key: body[key] for key in _NODE_KEYS if body.get(key)},
    }


class StepPlan(NamedTuple):
    """A step of a pipeline's plan, as the plan of its job alone."""

    step: StepSpec
    plan: Plan

    @property
    def spec(self) -> AzureMLSubmissionSpec:
        """How its job is submitted."""
        return self.step.submission


def split_plan(plan: Plan, stage: Stage) -> list[StepPlan]:
    """Return the plans of the steps, in their order. Raise Rejected if the plan is damaged."""
    spec = PIPELINE_SPEC.load(plan, stage)
    try:
        nodes = load_document(plan)["jobs"]
        if [*nodes] != [step.key for step in spec.steps]:
            raise ValueError
        parts = []
        for step in spec.steps:
            node, folder = nodes[step.key], make_step_folder(step.name)
            if node["component"]["code"] != f"{folder}/{CODE_FOLDER}" or node["tags"][STEP_TAG] != step.name:
                raise ValueError
            code = submission_spec.read_code(plan.files, f"{folder}/")
            component = node["component"]
            body = {
                **{"name": step.submission.run, "code": CODE_FOLDER, "tags": dict(node["tags"])},
                **{key: node[key] for key in ("type", "display_name")},
                **{key: component[key] for key in _COMPONENT_KEYS},
                **{key: node[key] for key in _NODE_KEYS if key in node},
            }
            parts.append(StepPlan(step, make_job_plan(plan, step.submission, body, code, step.resumable)))
        return parts
    except (KeyError, TypeError, ValueError):
        reason = f"{PIPELINE_FILE} is not a pipeline job with the steps of this plan."
        raise Rejected([PIPELINE_SPEC.make_damaged_plan_problem(stage, reason)]) from None


def load_document(plan: Plan) -> dict[str, Any]:
    """Return the pipeline job of a plan. Raise TypeError or ValueError if it is none."""
    document: dict[str, Any] = submission_spec.load_job_file(plan)
    if not isinstance(document["jobs"], dict):
        raise TypeError("it has no jobs")
    return document


def make_job_plan(
    parent_plan: Plan, spec: AzureMLSubmissionSpec, body: Mapping[str, Any], code: Mapping[str, bytes], resumable: bool
) -> Plan:
    """Return the plan of one job of a pipeline or a sweep, as if it were submitted alone. Raises ValueError."""
    sources = parse_document(code[submission_spec.DOCUMENT_FILE].decode()).sources
    outputs = OutputProfile(folder=spec.output, resumable=resumable)
    profile = dataclasses.replace(parent_plan.job.profile, outputs=outputs)
    return dataclasses.replace(
        parent_plan,
        run=spec.run,
        job=dataclasses.replace(parent_plan.job, sources=sources, profile=profile),
        spec=submission_spec.JOB_FILE,
        files={
            submission_spec.JOB_FILE: submission_spec.dump_job_file(body),
            submission_spec.SUBMISSION_FILE: submission_spec.SUBMISSION.dump(spec),
            **code,
        },
        shown=(),
    )


def describe_steps(plan: Plan, stage: Stage) -> dict[str, StepFacts]:
    """Return the description of each step for the reference of a pipeline. Raise Rejected."""
    return {
        step.name: StepFacts(
            key=step.key,
            run=step.submission.run,
            needs=step.needs,
            output=step.submission.output,
            results=step.results,
            datastore=step.submission.datastore,
            publishes=step.submission.publishes,
        )
        for step in PIPELINE_SPEC.load(plan, stage).steps
    }
