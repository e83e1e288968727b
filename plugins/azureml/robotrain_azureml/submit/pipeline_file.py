"""The pipeline or sweep job as it is submitted: its jobs validated and renamed as the job file of a single job is."""

import dataclasses
from typing import Any, NamedTuple

from robotrain.errors import Stage
from robotrain.model.plan import Plan
from robotrain.model.run import Reference

from robotrain_azureml.spec import inputs, pipeline, submission_spec, sweep
from robotrain_azureml.spec.pipeline import HANDOVER, StepPlan, is_pipeline
from robotrain_azureml.spec.pipeline_spec import STEPS_KEY, StepFacts, dump_steps, dump_trials, make_step_folder
from robotrain_azureml.spec.submission_spec import CODE_FOLDER, AzureMLSubmissionSpec
from robotrain_azureml.submit import job_file


class PlanPart(NamedTuple):
    """What is submitted as one job of Azure ML's: a whole plan, or a step of a pipeline's."""

    plan: Plan
    spec: AzureMLSubmissionSpec
    suffix: str = ""
    """What follows the name of the whole in the names of its folders."""


def list_parts(plan: Plan, stage: Stage) -> list[PlanPart]:
    """Return the steps of a plan, the trial of a sweep's, or the plan itself if it is a single job. Raise Rejected if
    it is damaged.
    """
    if sweep.is_sweep(plan):
        return [PlanPart(*sweep.split_sweep(plan, stage))]
    if not is_pipeline(plan):
        return [PlanPart(plan, submission_spec.SUBMISSION.load(plan, stage))]
    return [PlanPart(part.plan, part.spec, f"-{part.step.name}") for part in pipeline.split_plan(plan, stage)]


def make_files(plan: Plan, name: str) -> dict[str, bytes]:
    """Return the files for the SDK: the job file under the job's own name, first, and the code. Raise Rejected."""
    names = (submission_spec.SEARCH_FILE, *submission_spec.CODE_FILES)
    code = {path: content for path, content in plan.files.items() if path.endswith(names)}
    return {plan.spec: _make_job_file(plan, name), **code}


def make_submitted_job_file(plan: Plan, reference: Reference) -> bytes:
    """Return the job file with the name and the code that the job got. Raises Rejected."""
    return _make_job_file(plan, reference["job"], reference.get("code", ""))


def _make_job_file(plan: Plan, name: str, code: str = "") -> bytes:
    if is_pipeline(plan):
        job = _make_pipeline(plan, name)
    elif sweep.is_sweep(plan):
        job = _make_sweep(plan, name)
    else:
        job = job_file.make_job(plan, submission_spec.SUBMISSION.load(plan, Stage.SUBMIT), name, code)
    return submission_spec.dump_job_file(job)


def _make_pipeline(plan: Plan, name: str) -> dict[str, Any]:
    parts = pipeline.split_plan(plan, Stage.SUBMIT)
    document = pipeline.load_document(plan)
    document["name"] = name
    for part in parts:
        document["jobs"][part.step.key] |= _make_node(part, f"{name}-{part.step.name}")
    return document


def _make_sweep(plan: Plan, name: str) -> dict[str, Any]:
    job = job_file.make_job(*sweep.split_sweep(plan, Stage.SUBMIT), name)
    document = sweep.make_sweep(job, sweep.load_document(plan))
    document["trial"]["command"] = str(document["trial"]["command"])
    return document


def _make_node(part: StepPlan, name: str) -> dict[str, Any]:
    body = job_file.make_job(part.plan, part.spec, name)
    if handover := body["outputs"].get(HANDOVER):
        handover["path"] = inputs.make_output_uri(part.spec.datastore, name, HANDOVER)
    return pipeline.make_node(body, f"{make_step_folder(part.step.name)}/{CODE_FOLDER}", part.step.name)


def make_reference(plan: Plan, name: str, code: str = "") -> Reference:
    """Return the reference of a plan's job. Raise Rejected if the plan is damaged.

    :param code: the id of a single job's code in the resource manager; empty if it is not known.
    """
    first = list_parts(plan, Stage.SUBMIT)[0].spec
    if not is_pipeline(plan) and not sweep.is_sweep(plan):
        return job_file.make_reference(first, name, code)
    reference = job_file.make_reference(dataclasses.replace(first, run=plan.run, publishes=""), name)
    if sweep.is_sweep(plan):
        spec = sweep.SWEEP_SPEC.load(plan, Stage.SUBMIT)
        facts = StepFacts(key="", run=plan.run, output=first.output, results=spec.results, datastore=first.datastore)
        return {**reference, "output": "", STEPS_KEY: dump_trials(spec.trials, facts)}
    return {**reference, "output": "", STEPS_KEY: dump_steps(pipeline.describe_steps(plan, Stage.SUBMIT))}
