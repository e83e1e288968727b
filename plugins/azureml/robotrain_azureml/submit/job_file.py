"""The job file as it is submitted: validated, under the job's own name, in a folder that the SDK reads.

A
`.git`, an ignore file, a link would each have its say in what is sent.
"""

import contextlib
import dataclasses
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.redaction import redact
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.spec import check_compute, check_job, inputs, submission_spec
from robotrain_azureml.spec.command_job import EXPRESSION_START, QUOTED_KEY
from robotrain_azureml.spec.submission_spec import REQUIRED_FILES, AzureMLSubmissionSpec

IDENTITY_KEY = "environment_variables.AZURE_CLIENT_ID"
_INPUT_VARIABLE = r"\$\{AZURE_ML_INPUT_(\w+)\}"


class ExpectedValue(NamedTuple):
    """A key of the job. ordered: what the other file goes with; empty for nothing. flag: what renders both."""

    key: str
    expected: str
    flag: str
    file: str = submission_spec.SUBMISSION_FILE


def check_consistency(
    job: Mapping[str, Any], spec: AzureMLSubmissionSpec, document: JobDocument, stage: Stage
) -> Iterator[Problem]:
    """One for each part. job: as it is written in the plan. told: its document."""
    for part in (
        *_list_spec_values(spec),
        *_list_input_values(job, spec, document),
        *_list_asset_values(job, spec, document),
    ):
        if get_job_value(job, part.key) != part.expected:
            yield _make_changed_problem(part, get_job_value(job, part.key), stage)


def get_job_value(job: Mapping[str, Any], key: str) -> str:
    """What a job says at `resources.shm_size`; empty for nothing."""
    found: Any = job
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return str(found) if isinstance(found, str | int | float) else ""


def _list_spec_values(spec: AzureMLSubmissionSpec) -> Iterator[ExpectedValue]:
    place = inputs.make_output_uri(spec.datastore, spec.run, spec.output)
    yield ExpectedValue("name", spec.run, "--attempt N")
    yield ExpectedValue("compute", f"azureml:{spec.compute}", "--compute NAME")
    yield ExpectedValue(
        "environment", f"azureml:{spec.environment.name}:{spec.environment.version}", "--environment-name NAME"
    )
    yield ExpectedValue("resources.instance_type", spec.instance_type, "--instance-type NAME")
    yield ExpectedValue(IDENTITY_KEY, spec.identity, "--workload-identity CLIENT-ID")
    yield ExpectedValue(f"outputs.{spec.output}.path", place, "--datastore NAME")


def _list_input_values(
    job: Mapping[str, Any], spec: AzureMLSubmissionSpec, document: JobDocument
) -> Iterator[ExpectedValue]:
    """The inputs, as the document has them: what the run is traced to."""
    for mount in document.placement.mounts:
        if found := re.fullmatch(_INPUT_VARIABLE, mount.folder):
            key = f"inputs.{found[1]}.path"
            brought = [inputs.make_folder_uri(spec.datastore, one.to) for one in spec.uploads if one.path == mount.uri]
            one_of = [mount.origin] if mount.origin else brought
            ordered = get_job_value(job, key) if get_job_value(job, key) in one_of else next(iter(one_of), "")
            yield ExpectedValue(
                key, ordered, f"{inputs.find_input_flag(f'input {found[1]}')} …", submission_spec.DOCUMENT_FILE
            )


def _list_asset_values(
    job: Mapping[str, Any], spec: AzureMLSubmissionSpec, document: JobDocument
) -> Iterator[ExpectedValue]:
    """The assets of the order that neither of them has."""
    known = {mount.origin for mount in document.placement.mounts}
    known |= {get_job_value(job, f"inputs.{name}.path") for name in job.get("inputs") or ()}
    for asset in spec.assets:
        if inputs.make_asset_uri(asset) not in known:
            yield ExpectedValue("inputs", inputs.make_asset_uri(asset), f"{asset.flag} …")


def _make_changed_problem(expectation: ExpectedValue, value: str, stage: Stage) -> Problem:
    return Problem(
        code="plan-changed-in-part",
        stage=stage,
        title=f"the plan was changed in {submission_spec.JOB_FILE}, and not in {expectation.file}: {expectation.key}",
        where=f"{submission_spec.JOB_FILE}: {expectation.key}",
        given=redact(value),
        why=f"{expectation.file} goes with {expectation.expected or 'none'}: that is what is looked at, brought and traced.",
        suggestions=(Suggestion(f"robotrain render … {expectation.flag} --to FOLDER", "renders both"),),
    )


VALUE_RULES = (
    ("experiment_name", check_job.EXPERIMENT_PATTERN, check_job.EXPERIMENT_FORM, "--experiment-name NAME"),
    ("resources.shm_size", check_compute.SHARED_MEMORY_PATTERN, check_compute.SHARED_MEMORY_FORM, "--shm-size SIZE"),
)
"""The key, what it holds where it is said, that in words, and what renders it."""
_EXPRESSION = r"\$\{\{(.*?)\}\}"


def check_values(job: Mapping[str, Any], stage: Stage) -> Iterator[Problem]:
    """One for each key. job: as it is written in the plan."""
    for key, holds, why, flag in VALUE_RULES:
        said = get_job_value(job, key)
        if said and not re.fullmatch(holds, said):
            yield _make_value_problem(key, said, why, stage, f"robotrain render … {flag} --to FOLDER")
    yield from _check_command(job, stage)
    yield from _check_variables(job, stage)


def _check_command(job: Mapping[str, Any], stage: Stage) -> Iterator[Problem]:
    known = [f"{what}.{name}" for what in ("inputs", "outputs") for name in _get_mapping(job, what)]
    for found in re.finditer(_EXPRESSION, get_job_value(job, "command"), re.DOTALL):
        if found[1] not in known:
            why = f"The job has {', '.join(known)}." if known else "The job has no input and no output."
            yield _make_value_problem("command", found[0], why, stage)


def _check_variables(job: Mapping[str, Any], stage: Stage) -> Iterator[Problem]:
    for name, value in _get_mapping(job, QUOTED_KEY).items():
        if EXPRESSION_START in str(value):
            why = f"Azure ML reads no `{EXPRESSION_START}` there: it stands in the command alone."
            yield _make_value_problem(f"{QUOTED_KEY}.{name}", str(value), why, stage)


def _get_mapping(job: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = job.get(key)
    return found if isinstance(found, Mapping) else {}


def _make_value_problem(
    key: str, value: str, reason: str, stage: Stage, command: str = "robotrain render … --to FOLDER"
) -> Problem:
    return Problem(
        code="azureml-value-invalid",
        stage=stage,
        title=f"{submission_spec.JOB_FILE} says what Azure ML does not take: {key}",
        where=f"{submission_spec.JOB_FILE}: {key}",
        given=redact(value),
        why=reason,
        suggestions=(Suggestion(command, "renders it anew"),),
    )


JOB_TYPE = "command"


def make_job_file(plan: Plan, spec: AzureMLSubmissionSpec, name: str, code: str = "") -> bytes:
    """The text of the job. code: where its code lies in Azure; empty for the folder beside it. Raises Rejected."""
    import yaml

    job = _parse_job_file(plan, spec, Stage.SUBMIT)
    if found := list(_check_job_file(plan, job, spec, Stage.SUBMIT)):
        raise Rejected(found)
    job["name"] = name
    job["outputs"][spec.output]["path"] = inputs.make_output_uri(spec.datastore, name, spec.output)
    moved = {
        inputs.make_folder_uri(spec.datastore, one.to): _make_own_folder(spec, one.to, name) for one in spec.uploads
    }
    for name, one in (job.get("inputs") or {}).items():
        if to := moved.get(get_job_value(job, f"inputs.{name}.path")):
            one["path"] = inputs.make_folder_uri(spec.datastore, to)
    if code:
        job["code"] = f"azureml:{code}"
    return yaml.safe_dump(job, sort_keys=False, width=float("inf")).encode()


def rename_upload_folders(spec: AzureMLSubmissionSpec, name: str) -> AzureMLSubmissionSpec:
    """The order of the job: what has no digest is uploaded to a folder of this job alone."""
    uploads = tuple(dataclasses.replace(one, to=_make_own_folder(spec, one.to, name)) for one in spec.uploads)
    return dataclasses.replace(spec, uploads=uploads)


def find_edit_problems(plan: Plan, spec: AzureMLSubmissionSpec, stage: Stage) -> list[Problem]:
    """What somebody changed in the job alone, or made no job of, or none that Azure would take."""
    try:
        return list(_check_job_file(plan, _parse_job_file(plan, spec, stage), spec, stage))
    except Rejected as rejected:
        return list(rejected.problems)


def make_reference(spec: AzureMLSubmissionSpec, name: str, code: str = "") -> Reference:
    """What finds a job again. code: the id of its code in Azure's resource manager; empty where nobody told."""
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
    """Raises Rejected."""
    try:
        told = document.parse_document(plan.files[submission_spec.DOCUMENT_FILE].decode())
    except (document.DocumentError, UnicodeDecodeError) as error:
        raise Rejected(
            [submission_spec.make_damaged_plan_problem(stage, f"{submission_spec.DOCUMENT_FILE} is no job document.")]
        ) from error
    yield from check_consistency(job, spec, told, stage)
    yield from check_values(job, stage)


def _make_own_folder(spec: AzureMLSubmissionSpec, folder: str, name: str) -> str:
    rest = folder.removeprefix(f"{inputs.make_job_folder(spec.run)}/")
    return folder if rest == folder else f"{inputs.make_job_folder(name)}/{rest}"


def _parse_job_file(plan: Plan, spec: AzureMLSubmissionSpec, stage: Stage) -> dict[str, Any]:
    import yaml

    try:
        job = yaml.load(plan.files[plan.spec], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if (
            job["outputs"][spec.output]["path"]
            and job["name"]
            and job["code"] == submission_spec.CODE_FOLDER
            and job["type"] == JOB_TYPE
        ):
            told: dict[str, Any] = job
            return told
    except (yaml.YAMLError, KeyError, TypeError):
        pass
    why = f"{plan.spec} is no command job with the code and the output of this plan."
    raise Rejected([submission_spec.make_damaged_plan_problem(stage, why)])


def make_submitted_job_file(plan: Plan, reference: Reference) -> bytes:
    """The text of the job, with the name it got, and its code where that was uploaded to. Raises Rejected."""
    return make_job_file(
        plan, submission_spec.load_submission_spec(plan, Stage.SUBMIT), reference["job"], reference.get("code", "")
    )


@contextlib.contextmanager
def stage_job(plan: Plan, job_file: bytes) -> Iterator[Path]:
    """The file of the job, with its code beside it. spec: what it holds, in place of the plan's. Raises Rejected."""
    with contextlib.ExitStack() as there:
        try:
            folder = Path(there.enter_context(tempfile.TemporaryDirectory(prefix="robotrain-")))
            (folder / submission_spec.CODE_FOLDER).mkdir()
            for path in REQUIRED_FILES:
                (folder / path).write_bytes(job_file if path == submission_spec.JOB_FILE else plan.files[path])
        except OSError as error:
            raise Rejected([_make_staging_problem(error)]) from error
        yield folder / submission_spec.JOB_FILE


def _make_staging_problem(error: OSError) -> Problem:
    return Problem(
        code="not-staged",
        stage=Stage.SUBMIT,
        title="the job could not be written to a temporary folder",
        given=str(error.filename or tempfile.gettempdir()),
        why=f"{error.strerror or error}.",
        suggestions=(Suggestion("TMPDIR=/path/to/folder", "in the environment, for another one"),),
    )
