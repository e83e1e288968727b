"""The job file of a job, a pipeline or a sweep as it is submitted: validated, under its own name, in a folder.

It is a new folder of the run: a `.git`, an ignore file or a link would change what the SDK uploads.
"""

import contextlib
import dataclasses
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.cluster.answers import as_mapping
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import NODES_FLAG
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.store import files, records
from robotrain_runtime.contract import document, job_node
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.identity import IDENTITY_KEYS
from robotrain_azureml.spec import check_job, inputs, nodes, pipeline, submission_spec, sweep
from robotrain_azureml.spec.command_job import EXPRESSION_START, QUOTED_KEY
from robotrain_azureml.spec.pipeline import is_pipeline
from robotrain_azureml.spec.pipeline_spec import STEPS_KEY, StepFacts, dump_steps, dump_trials, make_step_folder
from robotrain_azureml.spec.submission_spec import CODE_FOLDER, AzureMLSubmissionSpec

make_problem = Messages(__file__)

STAGING_FOLDER = "sending"
"""In the run's folder, while a submit works."""
_INPUT_VARIABLE = r"\$\{AZURE_ML_INPUT_(\w+)\}"


class ExpectedValue(NamedTuple):
    """The value that a key of the job must have."""

    key: str
    expected: str
    """Empty if the key must not be set."""
    flag: str
    """The option that renders the job file and the other one alike."""
    file: str = submission_spec.SUBMISSION_FILE
    """The file that has the expected value."""


def check_consistency(
    job: Mapping[str, Any], spec: AzureMLSubmissionSpec, document: JobDocument, stage: Stage
) -> Iterator[Problem]:
    """Check that the job file agrees with the plan's other files. `job`: the plan's job file."""
    for key, expected, flag, file in _list_expected_values(job, spec, document):
        if (value := get_job_value(job, key)) != expected:
            where = f"{submission_spec.JOB_FILE}: {key}"
            yield make_problem(
                "plan-changed-in-part",
                where=where,
                given=value,
                stage=stage,
                job_file=submission_spec.JOB_FILE,
                file=file,
                key=key,
                expected=expected or "none",
                flag=flag,
            )


def get_job_value(job: Mapping[str, Any], key: str) -> str:
    """Return the value of a key like `resources.shm_size`; empty if it is not set."""
    value: Any = job
    for name in key.split("."):
        value = as_mapping(value).get(name)
    return str(value) if isinstance(value, str | int | float) else ""


def _list_expected_values(
    job: Mapping[str, Any], spec: AzureMLSubmissionSpec, document: JobDocument
) -> Iterator[ExpectedValue]:
    """Yield what the spec says, the inputs of the document, which the lineage records, and assets of the spec alone."""
    output_key = f"outputs.{spec.output}.path"
    own, fixed = (inputs.make_output_uri(spec.datastore, name, spec.output) for name in (inputs.OWN_NAME, spec.run))
    output_uri = fixed if get_job_value(job, output_key) == fixed else own
    yield ExpectedValue("name", spec.run, "--attempt N")
    yield ExpectedValue("compute", f"azureml:{spec.compute}", "--compute NAME")
    yield ExpectedValue("environment", spec.environment.reference, "--environment-name NAME")
    yield ExpectedValue("resources.instance_type", spec.instance_type, "--instance-type NAME")
    yield from _list_group_values(document)
    for key in IDENTITY_KEYS:
        yield ExpectedValue(key, spec.identity, "--workload-identity CLIENT-ID")
    yield ExpectedValue(output_key, output_uri, "--datastore NAME")
    for mount in document.placement.mounts:
        if match := re.fullmatch(_INPUT_VARIABLE, mount.folder):
            key, flag = f"inputs.{match[1]}.path", inputs.find_input_flag(f"input {match[1]}")
            uploads = [upload.to for upload in spec.uploads if upload.path == mount.uri]
            valid = [mount.origin] if mount.origin else [inputs.make_folder_uri(spec.datastore, to) for to in uploads]
            value = get_job_value(job, key)
            expected = value if value in valid else next(iter(valid), "")
            yield ExpectedValue(key, expected, f"{flag} …", submission_spec.DOCUMENT_FILE)
    known = {mount.origin for mount in document.placement.mounts}
    known |= {get_job_value(job, f"inputs.{name}.path") for name in job.get("inputs") or ()}
    for asset in spec.assets:
        if inputs.make_asset_uri(asset) not in known:
            yield ExpectedValue("inputs", inputs.make_asset_uri(asset), f"{asset.flag} …")


def _list_group_values(document: JobDocument) -> Iterator[ExpectedValue]:
    """Yield how many nodes there are, and how they are started: others would wait for one another, or train alone."""
    count, flag, file = job_node.count_nodes(document), f"{NODES_FLAG} N", submission_spec.DOCUMENT_FILE
    yield ExpectedValue("resources.instance_count", str(count), flag, file)
    for name in nodes.DISTRIBUTION:
        expected = str(nodes.make_distribution(count).get(name, ""))
        yield ExpectedValue(f"distribution.{name}", expected, flag, file)


VALUE_RULES = (
    ("experiment_name", check_job.EXPERIMENT_PATTERN, check_job.EXPERIMENT_FORM, "--experiment-name NAME"),
    ("resources.shm_size", check_job.SHARED_MEMORY_PATTERN, check_job.SHARED_MEMORY_FORM, "--shm-size SIZE"),
)
"""The key, the pattern of its value, that in words, and the option that renders it."""
_EXPRESSION = r"\$\{\{(.*?)\}\}"


def check_values(job: Mapping[str, Any], stage: Stage) -> Iterator[Problem]:
    """Check the values of the plan's job file."""
    for key, pattern, why, flag in VALUE_RULES:
        value = get_job_value(job, key)
        if value and not re.fullmatch(pattern, value):
            yield _make_value_problem(key, value, why, stage, f"robotrain render … {flag} --to FOLDER")
    known = [f"{section}.{name}" for section in ("inputs", "outputs") for name in as_mapping(job.get(section))]
    for match in re.finditer(_EXPRESSION, get_job_value(job, "command"), re.DOTALL):
        if match[1] not in known:
            why = f"The job has {', '.join(known)}." if known else "The job has no input and no output."
            yield _make_value_problem("command", match[0], why, stage)
    for name, value in as_mapping(job.get(QUOTED_KEY)).items():
        if EXPRESSION_START in str(value):
            why = f"Azure ML replaces `{EXPRESSION_START}` in the command only."
            yield _make_value_problem(f"{QUOTED_KEY}.{name}", str(value), why, stage)


def _make_value_problem(
    key: str, value: str, reason: str, stage: Stage, command: str = "robotrain render … --to FOLDER"
) -> Problem:
    where = f"{submission_spec.JOB_FILE}: {key}"
    fix = Suggestion(command, "renders it again")
    return make_problem(
        "value-invalid",
        fix,
        where=where,
        given=value,
        stage=stage,
        job_file=submission_spec.JOB_FILE,
        key=key,
        why=reason,
    )


def make_job(plan: Plan, spec: AzureMLSubmissionSpec, name: str, code: str = "") -> dict[str, Any]:
    """Return the content of the job file under the job's own name. Raises Rejected.

    `code`: the id of the uploaded code; empty for the folder beside the file.
    """
    job = _parse_job_file(plan, spec, Stage.SUBMIT)
    if problems := list(_check_job_file(plan, job, spec, Stage.SUBMIT)):
        raise Rejected(problems)
    job["name"] = name
    if EXPRESSION_START not in job["outputs"][spec.output]["path"]:
        job["outputs"][spec.output]["path"] = inputs.make_output_uri(spec.datastore, name, spec.output)
    folders = {
        inputs.make_folder_uri(spec.datastore, upload.to): _make_own_folder(spec, upload.to, name)
        for upload in spec.uploads
    }
    for input_name, job_input in (job.get("inputs") or {}).items():
        if folder := folders.get(get_job_value(job, f"inputs.{input_name}.path")):
            job_input["path"] = inputs.make_folder_uri(spec.datastore, folder)
    if code:
        job["code"] = f"azureml:{code}"
    return job


def rename_upload_folders(spec: AzureMLSubmissionSpec, name: str) -> AzureMLSubmissionSpec:
    """Return the spec with the job's own folder for uploads without a digest."""
    uploads = [dataclasses.replace(upload, to=_make_own_folder(spec, upload.to, name)) for upload in spec.uploads]
    return dataclasses.replace(spec, uploads=tuple(uploads))


def find_edit_problems(plan: Plan, spec: AzureMLSubmissionSpec, stage: Stage) -> list[Problem]:
    """Return the problems of a job file that was edited: inconsistent, invalid, or not a job."""
    try:
        return list(_check_job_file(plan, _parse_job_file(plan, spec, stage), spec, stage))
    except Rejected as rejected:
        return list(rejected.problems)


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


def _check_job_file(plan: Plan, job: Mapping[str, Any], spec: AzureMLSubmissionSpec, stage: Stage) -> Iterator[Problem]:
    """Check a job file. Raises Rejected if the job document is damaged."""
    try:
        job_document = document.parse_document(plan.files[submission_spec.DOCUMENT_FILE].decode())
    except (document.DocumentError, UnicodeDecodeError) as error:
        why = f"{submission_spec.DOCUMENT_FILE} is not a valid job document."
        raise Rejected([submission_spec.SUBMISSION.make_damaged_plan_problem(stage, why)]) from error
    yield from check_consistency(job, spec, job_document, stage)
    yield from check_values(job, stage)


def _make_own_folder(spec: AzureMLSubmissionSpec, folder: str, name: str) -> str:
    rest = folder.removeprefix(f"{inputs.make_job_folder(spec.run)}/")
    return folder if rest == folder else f"{inputs.make_job_folder(name)}/{rest}"


def _parse_job_file(plan: Plan, spec: AzureMLSubmissionSpec, stage: Stage) -> dict[str, Any]:
    try:
        job: dict[str, Any] = submission_spec.load_job_file(plan)
        keys = (job["code"], job["type"])
        if job["outputs"][spec.output]["path"] and job["name"] and keys == (submission_spec.CODE_FOLDER, "command"):
            return job
    except (ValueError, KeyError, TypeError):
        pass
    why = f"{plan.spec} is not a command job with the code and the output of this plan."
    raise Rejected([submission_spec.SUBMISSION.make_damaged_plan_problem(stage, why)])


@contextlib.contextmanager
def stage_job(run: str, content: Mapping[str, bytes]) -> Iterator[Path]:
    """Write a job file and its code to a folder of the run and yield the path of the first file. Raises Rejected.

    What a killed submit left there is removed by the next one, or with the run.
    """
    folder = records.get_run_folder(run) / STAGING_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        try:
            for path, data in content.items():
                files.make_private_folder((folder / path).parent)
                files.write_private_file(folder / path, data)
        except OSError as error:
            given = str(error.filename or folder)
            raise Rejected(
                [make_problem("state-folder-unwritable", given=given, strerror=error.strerror or error)]
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
    code = {path: content for path, content in plan.files.items() if path.endswith(submission_spec.CODE_FILES)}
    return {plan.spec: _make_job_file(plan, name), **code}


def make_submitted_job_file(plan: Plan, reference: Reference) -> bytes:
    """Return the job file with the name and the code that the job got. Raises Rejected."""
    return _make_job_file(plan, reference["job"], reference.get("code", ""))


def _make_job_file(plan: Plan, name: str, code: str = "") -> bytes:
    if is_pipeline(plan):
        parts = pipeline.split_plan(plan, Stage.SUBMIT)
        job = pipeline.load_document(plan)
        job["name"] = name
        for part in parts:
            step, own_name = part.step, f"{name}-{part.step.name}"
            body = make_job(part.plan, part.spec, own_name)
            pipeline.set_pipeline_job(body, part.spec.datastore, own_name, name)
            job["jobs"][step.key] |= pipeline.make_node(body, f"{make_step_folder(step.name)}/{CODE_FOLDER}", step.name)
    elif sweep.is_sweep(plan):
        trial = make_job(*sweep.split_sweep(plan, Stage.SUBMIT), name)
        job = sweep.make_sweep(trial, sweep.load_document(plan))
        job["trial"]["command"] = str(job["trial"]["command"])
    else:
        job = make_job(plan, submission_spec.SUBMISSION.load(plan, Stage.SUBMIT), name, code)
    return submission_spec.dump_job_file(job)


def is_of_parts(plan: Plan) -> bool:
    """Return whether a plan is a pipeline or a sweep."""
    return is_pipeline(plan) or sweep.is_sweep(plan)


def make_reference(plan: Plan, name: str, code: str = "") -> Reference:
    """Return the reference of a plan's job. Raise Rejected if the plan is damaged.

    :param code: the id of a single job's code in the resource manager; empty if it is not known.
    """
    first = list_parts(plan, Stage.SUBMIT)[0].spec
    if not is_of_parts(plan):
        return make_job_reference(first, name, code)
    reference = make_job_reference(dataclasses.replace(first, run=plan.run, publishes=""), name)
    if sweep.is_sweep(plan):
        spec = sweep.SWEEP_SPEC.load(plan, Stage.SUBMIT)
        facts = StepFacts(key="", run=plan.run, output=first.output, results=spec.results, datastore=first.datastore)
        return {**reference, "output": "", STEPS_KEY: dump_trials(spec.trials, facts)}
    return {**reference, "output": "", STEPS_KEY: dump_steps(pipeline.describe_steps(plan, Stage.SUBMIT))}
