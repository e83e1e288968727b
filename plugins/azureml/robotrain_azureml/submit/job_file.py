"""The job file of a job or a pipeline as it is submitted: validated, under its own name, in a folder.

It is a new folder of the run: a `.git`, an ignore file or a link would change what the SDK uploads.
"""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.errors import Rejected, Stage
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain.store import files, records

from robotrain_azureml.spec import inputs, pipeline, submission_spec
from robotrain_azureml.spec.pipeline import is_pipeline
from robotrain_azureml.spec.pipeline_spec import STEPS_KEY, dump_steps, make_step_folder
from robotrain_azureml.spec.submission_spec import CODE_FOLDER, AzureMLSubmissionSpec

make_problem = Messages(__file__)

STAGING_FOLDER = "sending"
"""In the run's folder, while a submit works."""


def make_job(plan: Plan, spec: AzureMLSubmissionSpec, name: str) -> dict[str, Any]:
    """Return the content of the job file under the job's own name."""
    job: dict[str, Any] = submission_spec.load_job_file(plan)
    job["name"] = name
    folders = {
        inputs.make_folder_uri(spec.datastore, upload.to): _make_own_folder(spec, upload.to, name)
        for upload in spec.uploads
    }
    for job_input in (job.get("inputs") or {}).values():
        if folder := folders.get(job_input.get("path")):
            job_input["path"] = inputs.make_folder_uri(spec.datastore, folder)
    return job


def rename_upload_folders(spec: AzureMLSubmissionSpec, name: str) -> AzureMLSubmissionSpec:
    """Return the spec with the job's own folder for uploads without a digest."""
    uploads = [dataclasses.replace(upload, to=_make_own_folder(spec, upload.to, name)) for upload in spec.uploads]
    return dataclasses.replace(spec, uploads=tuple(uploads))


def make_job_reference(spec: AzureMLSubmissionSpec, name: str, code: str = "") -> Reference:
    """Return the reference of a single job, by its name in the workspace and the id of its code."""
    return {
        "job": name,
        "run": spec.run,
        "subscription": spec.subscription,
        "group": spec.group,
        "workspace": spec.workspace,
        "datastore": spec.datastore,
        "output": inputs.make_output_folder(name, spec.output),
        "publishes": spec.publishes,
        "code": code,
    }


def _make_own_folder(spec: AzureMLSubmissionSpec, folder: str, name: str) -> str:
    relative_path = folder.removeprefix(f"{inputs.make_job_folder(spec.run)}/")
    return folder if relative_path == folder else f"{inputs.make_job_folder(name)}/{relative_path}"


@contextlib.contextmanager
def stage_job(run: str, content: Mapping[str, bytes]) -> Iterator[Path]:
    """Write a job file and its code to a folder of the run and yield the path of the first file. Raises Rejected.

    What a killed submit left there is removed by the next one, or with the run.
    """
    folder = records.get_run_folder(run) / STAGING_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        try:
            for path, file_bytes in content.items():
                files.make_private_folder((folder / path).parent)
                files.write_private_file(folder / path, file_bytes)
        except OSError as error:
            failed_path = str(error.filename or folder)
            raise Rejected(
                [make_problem("state-folder-unwritable", given=failed_path, strerror=error.strerror or error)]
            ) from error
        yield folder / next(iter(content))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class PlanPart(NamedTuple):
    """What is submitted as one job of Azure ML's: a whole plan, or a step of a pipeline's."""

    plan: Plan
    spec: AzureMLSubmissionSpec
    suffix: str = ""
    """What follows the name of the whole in the names of its folders."""


def list_parts(plan: Plan, stage: Stage) -> list[PlanPart]:
    """Return the steps of a plan, or the plan itself if it is a single job. Raise Rejected if it is damaged."""
    if not is_pipeline(plan):
        return [PlanPart(plan, submission_spec.SUBMISSION.load(plan, stage))]
    return [PlanPart(part.plan, part.spec, f"-{part.step.name}") for part in pipeline.split_plan(plan, stage)]


def make_files(plan: Plan, name: str) -> dict[str, bytes]:
    """Return the files for the SDK: the job file under the job's own name, first, and the code. Raise Rejected."""
    code = {path: file_bytes for path, file_bytes in plan.files.items() if path.endswith(submission_spec.CODE_FILES)}
    return {plan.spec: _make_job_file(plan, name), **code}


def _make_job_file(plan: Plan, name: str) -> bytes:
    if is_pipeline(plan):
        parts = pipeline.split_plan(plan, Stage.SUBMIT)
        job = pipeline.load_document(plan)
        job["name"] = name
        for part in parts:
            step, own_name = part.step, f"{name}-{part.step.name}"
            body = make_job(part.plan, part.spec, own_name)
            pipeline.set_pipeline_job(body, part.spec.datastore, own_name, name)
            job["jobs"][step.key] |= pipeline.make_node(body, f"{make_step_folder(step.name)}/{CODE_FOLDER}", step.name)
    else:
        job = make_job(plan, submission_spec.SUBMISSION.load(plan, Stage.SUBMIT), name)
    return submission_spec.dump_job_file(job)


def make_reference(plan: Plan, name: str, code: str = "") -> Reference:
    """Return the reference of a plan's job. Raise Rejected if the plan is damaged.

    :param code: the id of a single job's code in the resource manager; empty if it is not known.
    """
    first_spec = list_parts(plan, Stage.SUBMIT)[0].spec
    if not is_pipeline(plan):
        return make_job_reference(first_spec, name, code)
    reference = make_job_reference(dataclasses.replace(first_spec, run=plan.run, publishes=""), name)
    return {**reference, "output": "", STEPS_KEY: dump_steps(pipeline.describe_steps(plan, Stage.SUBMIT))}
