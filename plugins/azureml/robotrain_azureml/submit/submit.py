"""Submit a plan exactly once: prepare its environment and uploads, then make the job under a drawn name.

That name is forgotten only while no workspace can have a job of it: nobody was asked for one, or every attempt was
refused. A request without an answer may be done late, so what refuses the next attempt refuses nothing of the first.
"""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robotrain.errors import NotSubmitted, Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.redaction import redact
from robotrain_azure import credential

from robotrain_azureml.service import jobs
from robotrain_azureml.spec import inputs, submission_spec
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec, WorkspaceEnvironment
from robotrain_azureml.submit import errors, job_file, reconcile, upload
from robotrain_azureml.submit.errors import get_http_status
from robotrain_azureml.submit.sdk import SdkClient
from robotrain_azureml.submit.upload import PreparedPart


def submit_plan(plan: Plan) -> Reference:
    """Bring what it needs, and make the job. Raises Rejected when Azure ML refused and nothing runs; NotSent when it
    was interrupted in time; Unanswered when it is not known whether the workspace made the job.
    """
    before = _is_job_possible(plan)
    try:
        return _submit_named(plan)
    except Rejected as rejected:
        if before:
            raise Unanswered(rejected.problems) from rejected
        _forget_name(plan)
        raise
    except KeyboardInterrupt:
        if _is_job_possible(plan):
            raise
        _forget_name(plan)
        raise NotSubmitted from None


def _is_job_possible(plan: Plan) -> bool:
    try:
        return reconcile.is_job_requested(plan)
    except Rejected as rejected:
        raise Unanswered(rejected.problems) from rejected


def _forget_name(plan: Plan) -> None:
    with contextlib.suppress(OSError):
        reconcile.forget_job_name(plan)


def _submit_named(plan: Plan) -> Reference:
    order = submission_spec.load_submission_spec(plan, Stage.SUBMIT)
    upload.require_uploadable(plan, order)
    name = reconcile.draw_job_name(plan)
    try:
        return _submit_staged(plan, order, name)
    except errors.TokenExpired:
        credential.clear_shared_credential()  # a token that was kept from before; all of this may be done twice
        return _submit_staged(plan, order, name)


def _submit_staged(plan: Plan, spec: AzureMLSubmissionSpec, name: str) -> Reference:
    with job_file.stage_job(plan, job_file.make_job_file(plan, spec, name)) as file:
        sdk = make_sdk_client(spec)
        job = _load_job(sdk, file)
        for one in prepare_workspace(sdk, plan, job_file.rename_upload_folders(spec, name)):
            if one.new:
                print(one.line, file=sys.stderr, flush=True)
        sdk.calls.before_job = functools.partial(reconcile.mark_job_requested, plan, name)
        try:
            return job_file.make_reference(spec, name, sdk.create_job(job))
        except KeyboardInterrupt:
            _print_interrupted(sdk, spec, name)
            raise
        except Rejected:
            raise
        except Exception as error:
            return _resolve_refusal(sdk, spec, name, error)


def _load_job(sdk: SdkClient, file: Path) -> Any:
    try:
        return sdk.load_job(file)
    except Exception as error:
        raise Rejected([errors.make_unreadable_job_problem(error)]) from error


def _resolve_refusal(sdk: SdkClient, spec: AzureMLSubmissionSpec, name: str, error: Exception) -> Reference:
    """The job, when it is there all the same: made by this, or by an earlier submit that was cut off.

    Raises Rejected, Unanswered.
    """
    refused = errors.make_submit_rejection(error, spec, sdk.calls.last)
    if not sdk.calls.has_requested_job():
        raise refused from error
    try:
        found = reconcile.find_submitted_job(spec, name)
    except Rejected:
        found = None
    if found is not None:
        print(f"{refused.problems[0].title}; the workspace has {name} all the same", file=sys.stderr)
        return found
    if sdk.calls.can_have_made_job():
        raise Unanswered(refused.problems) from error
    raise refused from error


def _print_interrupted(sdk: SdkClient, spec: AzureMLSubmissionSpec, name: str) -> None:
    if sdk.calls.has_requested_job():
        page = jobs.make_studio_url(spec.target_workspace, name)
        print(f"the job {name} may have been made: {page}", file=sys.stderr, flush=True)


def prepare_plan(plan: Plan) -> Iterator[str]:
    """A line for each, as soon as it is there. Raises Rejected.

    What goes to a place of one run alone, having no digest, is looked at anew by the submit: it is left to that.
    """
    order = submission_spec.load_submission_spec(plan, Stage.SUBMIT)
    ahead = tuple(one for one in order.uploads if inputs.is_by_content(one.to))
    order = dataclasses.replace(order, uploads=ahead)
    upload.require_uploadable(plan, order)
    yield from (one.line for one in prepare_workspace(make_sdk_client(order), plan, order))


def make_sdk_client(spec: AzureMLSubmissionSpec) -> SdkClient:
    """The SDK, for the workspace. Raises Rejected where it cannot be imported."""
    try:
        return SdkClient(spec.target_workspace)
    except Exception as error:
        raise errors.make_submit_rejection(error, spec, None) from error


def prepare_workspace(sdk: SdkClient, plan: Plan, spec: AzureMLSubmissionSpec) -> Iterator[PreparedPart]:
    """The same with a client that is there. The environment comes first: what differs there stops everything."""
    wanted = spec.environment
    named = f"environment {wanted.name}:{wanted.version}"
    try:
        made = ensure_environment(sdk, wanted)
        yield PreparedPart(f"{named} was registered with {wanted.image}" if made else f"{named} is there already", made)
        yield from upload.upload_folders(plan, spec)
    except Rejected:
        raise
    except Exception as error:
        raise errors.make_submit_rejection(error, spec, sdk.calls.last) from error


CONFLICT_STATUSES = (400, 409, 412)


def ensure_environment(sdk: SdkClient, environment: WorkspaceEnvironment) -> bool:
    """Have it there: whether it was registered now. Raises Rejected for one of another image, and what the SDK does."""
    there = _fetch_environment_image(sdk, environment)
    if there is None:
        there, made = _register_environment(sdk, environment)
    else:
        made = False
    if there != environment.image:
        raise Rejected([make_environment_differs_problem(environment, there, Stage.SUBMIT)])
    return made


def _fetch_environment_image(sdk: SdkClient, environment: WorkspaceEnvironment) -> str | None:
    """Its image; None when it is not there."""
    try:
        return sdk.get_environment_image(environment.name, environment.version)
    except Exception as error:
        if get_http_status(error) == 404:
            return None
        raise


def _register_environment(sdk: SdkClient, environment: WorkspaceEnvironment) -> tuple[str, bool]:
    """Its image then, and whether this made it: a colleague may have been quicker."""
    try:
        return sdk.register_environment(environment.name, environment.version, environment.image), True
    except Exception as error:
        if get_http_status(error) not in CONFLICT_STATUSES:
            raise
        there = _fetch_environment_image(sdk, environment)
        if there is None:
            raise
        return there, False


def make_environment_differs_problem(environment: WorkspaceEnvironment, image: str, stage: Stage) -> Problem:
    """there: the image that it holds; empty for none."""
    holds = f"the image {image}" if image else "no image: it is built from files"
    return Problem(
        code="azureml-environment-differs",
        stage=stage,
        title=f"the environment {environment.name}:{environment.version} of the workspace holds another image",
        where="--environment-version",
        given=redact(environment.version),
        why=f"It holds {holds}. The job is to run in {environment.image}. A version of an environment cannot be changed.",
        suggestions=(
            Suggestion("--environment-version VERSION", "another one, which is registered with the job's image"),
            Suggestion("--environment-name NAME", "the same, under another name"),
            *([Suggestion(f"--image {image}", "when the job may run in that one")] if image else []),
        ),
    )
