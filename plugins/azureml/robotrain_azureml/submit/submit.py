"""Submission of a plan, exactly once: its environment and uploads first, then the job under a recorded name.

An interrupted submit is reconciled by that name: it is recorded before the workspace is asked for the job.

The name is forgotten only if no job can exist under it: none was requested, or every request was refused. A request
without an answer may succeed late, so a refusal of the next one proves nothing about it.
"""

import contextlib
import dataclasses
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence

from robotrain.cluster.submit_note import SubmitNote
from robotrain.errors import NotSubmitted, Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain_azure import credential

from robotrain_azureml import errors as azureml_errors
from robotrain_azureml.service import jobs
from robotrain_azureml.spec import inputs
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec, WorkspaceEnvironment
from robotrain_azureml.submit import errors, job_file, upload
from robotrain_azureml.submit.errors import get_http_status
from robotrain_azureml.submit.job_file import PlanPart, list_parts
from robotrain_azureml.submit.sdk import SdkClient
from robotrain_azureml.submit.upload import PreparedPart

make_problem = Messages(__file__)

NOTE = SubmitNote("azureml-sent.json", ("job", "asked"), "Azure ML", "job")
"""The job's name, and whether the workspace was asked for the job."""


def choose_job_name(plan: Plan) -> str:
    """Return the job's name: the one recorded for this plan, else a new one. Raises Rejected.

    It is that of the plan, which the workspace gives to one job, or drawn at random if the plan has none.
    """
    name = read_job_name(plan)
    if not name and (name := make_plan_name(plan)):
        NOTE.write(plan, {"job": name, "asked": False})
    return name or draw_job_name(plan)


def draw_job_name(plan: Plan) -> str:
    """Return a new name at random, and record it. Raises Rejected."""
    name = f"{plan.run}-{secrets.token_hex(NAME_BYTES)}"
    NOTE.write(plan, {"job": name, "asked": False})
    return name


NAME_BYTES = 3


def make_plan_name(plan: Plan) -> str:
    """Return the name that every machine gives the job of a plan; empty if its content is not all in the plan.

    Folders without a digest are uploaded under the job's name.
    """
    parts = list_parts(plan, Stage.SUBMIT)
    has_own = any(not inputs.is_by_content(upload_entry.to) for part in parts for upload_entry in part.spec.uploads)
    return f"{plan.run}-{plan.job.same_key[: 2 * NAME_BYTES]}" if plan.job.same_key and not has_own else ""


def read_job_name(plan: Plan) -> str:
    """Return the recorded name; empty if there is none. Raises Rejected for a damaged record."""
    return str((NOTE.read(plan) or {}).get("job", ""))


def find_run(plan: Plan) -> Reference | None:
    """Return the job of an earlier submit of this plan; None if there is none. Raises Rejected."""
    note = NOTE.read(plan)
    return find_submitted_job(plan, note["job"]) if note and note["asked"] else None


def find_submitted_job(plan: Plan, name: str) -> Reference | None:
    """Return the job of this name; None if the workspace has none. Raises Rejected."""
    workspace = list_parts(plan, Stage.SUBMIT)[0].spec.target_workspace
    with azureml_errors.reject_errors(workspace, f"ask for the job {name}"):
        job = jobs.find_job(jobs.get_client(), workspace, name)
    if job is None:
        return None
    return job_file.make_reference(plan, name, job.get_object("properties").get_text("codeId"))


def submit_plan(plan: Plan) -> Reference:
    """Prepare and create the job.

    Raises Rejected if Azure ML refused it and nothing runs, NotSubmitted if it was interrupted in time, Unanswered if
    it is not known whether the job exists.
    """
    requested_before = _is_job_possible(plan)
    try:
        parts = list_parts(plan, Stage.SUBMIT)
        for part in parts:
            upload.require_uploadable(part.plan, part.spec)
        name = choose_job_name(plan)
        try:
            return _submit_staged(plan, parts, name, requested_before)
        except errors.TokenExpired:
            credential.clear_shared_credential()  # it was a cached token; everything here may be repeated
            return _submit_staged(plan, parts, name, requested_before)
    except Rejected as rejected:
        if requested_before:
            raise Unanswered(rejected.problems) from rejected
        NOTE.delete(plan)
        raise
    except KeyboardInterrupt:
        if _is_job_possible(plan):
            raise
        NOTE.delete(plan)
        raise NotSubmitted from None


def _is_job_possible(plan: Plan) -> bool:
    """Return whether the job was requested from the workspace, so that it may exist now or soon. Raises Unanswered."""
    try:
        return bool((NOTE.read(plan) or {}).get("asked"))
    except Rejected as rejected:
        raise Unanswered(rejected.problems) from rejected


def _submit_staged(plan: Plan, parts: Sequence[PlanPart], name: str, requested_before: bool) -> Reference:
    spec = parts[0].spec
    with job_file.stage_job(plan.run, job_file.make_files(plan, name)) as file:
        sdk = make_sdk_client(spec)
        try:
            job = sdk.load_job(file)
        except Exception as error:
            problem = errors.make_unreadable_job_problem(error, Stage.SUBMIT, is_patched=spec.is_patched)
            raise Rejected([problem]) from error
        renamed_parts = [
            part._replace(spec=job_file.rename_upload_folders(part.spec, name + part.suffix)) for part in parts
        ]
        for prepared in prepare_workspace(sdk, renamed_parts):
            if prepared.new:
                print(prepared.line, file=sys.stderr, flush=True)

        def begin_request() -> None:
            if not requested_before and not sdk.calls.has_requested_job():
                _require_free_name(plan, name)
            NOTE.write(plan, {"job": name, "asked": True})

        sdk.calls.before_job = begin_request
        try:
            code = sdk.create_job(job)
        except KeyboardInterrupt:
            if sdk.calls.has_requested_job():
                page = spec.target_workspace.make_studio_url(name)
                print(f"the job {name} may exist: {page}", file=sys.stderr, flush=True)
            raise
        except Rejected:
            raise
        except Exception as error:
            return _resolve_refusal(sdk, plan, spec, name, error, requested_before)
        if sdk.calls.has_met_job() and not requested_before:
            raise NameTaken(name)
        return job_file.make_reference(plan, name, code)


def _require_free_name(plan: Plan, name: str) -> None:
    """Raise NameTaken if another machine has sent the job: a request would give its job this plan's display name.

    Without an answer, the request decides.
    """
    job = None
    if name == make_plan_name(plan):
        with contextlib.suppress(Rejected):
            job = find_submitted_job(plan, name)
    if job:
        raise NameTaken(name)


class NameTaken(Rejected):
    """Another machine sent the same job: its name is made from the plan."""

    def __init__(self, name: str) -> None:
        super().__init__([dataclasses.replace(make_problem("run-name-taken", given=name), taken_by=name)])


def _resolve_refusal(
    sdk: SdkClient,
    plan: Plan,
    spec: AzureMLSubmissionSpec,
    name: str,
    error: Exception,
    requested_before: bool,
) -> Reference:
    """Return the job if it exists despite the error, from this or an earlier submit. Raises Rejected, Unanswered."""
    rejection = errors.make_submit_rejection(error, spec, sdk.calls.last)
    if not sdk.calls.has_requested_job():
        raise rejection from error
    reference = None
    with contextlib.suppress(Rejected):
        reference = find_submitted_job(plan, name)
    if reference and sdk.calls.has_met_job() and not requested_before:
        raise NameTaken(name) from error
    if reference:
        print(f"{rejection.problems[0].title}; but the workspace has the job {name}", file=sys.stderr)
        return reference
    if sdk.calls.can_have_made_job():
        raise Unanswered(rejection.problems) from error
    raise rejection from error


def prepare_plan(plan: Plan) -> Iterator[str]:
    """Register the environment and upload folders that have a digest; yield a line for each. Raises Rejected.

    Folders without a digest belong to one run: its submit uploads them.
    """
    parts = list_parts(plan, Stage.SUBMIT)
    for number, part in enumerate(parts):
        uploads = tuple(upload_entry for upload_entry in part.spec.uploads if inputs.is_by_content(upload_entry.to))
        parts[number] = part._replace(spec=dataclasses.replace(part.spec, uploads=uploads))
        upload.require_uploadable(part.plan, parts[number].spec)
    printed_lines = set[str]()
    for prepared in prepare_workspace(make_sdk_client(parts[0].spec), parts):
        if prepared.line not in printed_lines:  # steps have much in common
            printed_lines.add(prepared.line)
            yield prepared.line


def make_sdk_client(spec: AzureMLSubmissionSpec) -> SdkClient:
    """Return a client of the workspace. Raises Rejected if the SDK cannot be imported."""
    try:
        return SdkClient(spec.target_workspace)
    except Exception as error:
        raise errors.make_submit_rejection(error, spec, None) from error


def prepare_workspace(sdk: SdkClient, parts: Iterable[PlanPart]) -> Iterator[PreparedPart]:
    """Prepare the workspace for parts of a plan. The environment comes first: a different one stops the submit."""
    for plan, spec, _ in parts:
        environment = spec.environment
        label = environment.label
        try:
            is_new = ensure_environment(sdk, environment)
            yield PreparedPart(
                f"{label} was registered with {environment.image}" if is_new else f"{label} exists", is_new
            )
            yield from upload.upload_folders(plan, spec)
        except Rejected:
            raise
        except Exception as error:
            raise errors.make_submit_rejection(error, spec, sdk.calls.last) from error


CONFLICT_STATUSES = (400, 409, 412)


def ensure_environment(sdk: SdkClient, environment: WorkspaceEnvironment) -> bool:
    """Register the environment unless it exists; return whether it is new. Raises Rejected if its image differs."""
    if environment.registry:
        return False
    name, version = environment.name, environment.version
    image, is_new = _fetch_environment_image(sdk, environment), False
    if image is None and environment.is_curated:
        raise Rejected([make_missing_environment_problem(environment, Stage.SUBMIT)])
    if image is None:
        try:
            image, is_new = sdk.register_environment(name, version, environment.image), True
        except Exception as error:
            image = _fetch_environment_image(sdk, environment) if get_http_status(error) in CONFLICT_STATUSES else None
            if image is None:  # else a colleague was faster
                raise
    if image != environment.image and not environment.accepts(image):
        raise Rejected([make_environment_differs_problem(environment, image, Stage.SUBMIT)])
    return is_new


def _fetch_environment_image(sdk: SdkClient, environment: WorkspaceEnvironment) -> str | None:
    try:
        return sdk.get_environment_image(environment.name, environment.version)
    except Exception as error:
        if get_http_status(error) == 404:
            return None
        raise


def make_missing_environment_problem(environment: WorkspaceEnvironment, stage: Stage) -> Problem:
    """Return the problem of an environment of Azure's own that the workspace does not show."""
    return make_problem("resource-unknown", given=environment.name, stage=stage, label=environment.label)


def make_environment_differs_problem(environment: WorkspaceEnvironment, image: str, stage: Stage) -> Problem:
    """Return the problem of an environment with another image; `image` is empty if it is built from files."""
    image_text = f"the image {image}" if image else "no image: Azure builds it from files"
    return make_problem(
        "azureml-environment-differs",
        Suggestion("--environment-version VERSION", "registers a new version with the job's image"),
        Suggestion("--environment-name NAME", "registers a new environment"),
        Suggestion(f"--image {image}", "if the job can run in that image")
        if image
        else Suggestion("--environment-name NAME --environment-version VERSION", "without --image takes it as it is"),
        given=environment.version,
        stage=stage,
        label=environment.label,
        content=image_text,
        image=environment.image,
    )
