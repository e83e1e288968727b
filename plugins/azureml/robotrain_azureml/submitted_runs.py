"""A job of a workspace that another machine submitted: its code asset has its job document."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from robotrain.cluster.answers import parse_time
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.reference import Reference
from robotrain.model.run import RUN_PATTERN
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain_azure import credential, storage
from robotrain_azure.workspace import Workspace

from robotrain_azureml import errors
from robotrain_azureml.observe import job_state
from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec.command_job import RUN_TAG
from robotrain_azureml.spec.job_settings import get_job_workspace
from robotrain_azureml.spec.render import make_submission_spec
from robotrain_azureml.spec.submission_spec import CODE_FOLDER, DOCUMENT_FILE
from robotrain_azureml.submit.job_file import make_job_reference

make_problem = Messages(__file__)

NAME_PATTERN = r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]{0,254}"
OWN_PATTERN = rf"{RUN_PATTERN.pattern}-[0-9a-f]{{6}}"
"""The names that `choose_job_name` chooses."""
SINGLE = "Command"
"""The kind of a job that is neither a pipeline nor a sweep."""
CODE_DATASTORE = "workspaceblobstore"
"""The datastore in whose account a workspace keeps code."""


def find_submitted(text: str, settings: AzureMLSettings) -> SubmittedRun | None:
    """Return the run of a job of the configured workspace; None for other texts. Raise RunGone, Rejected."""
    workspace = get_job_workspace(settings)
    is_of_other_form = RUN_PATTERN.match(text) and not re.fullmatch(OWN_PATTERN, text)
    if not re.fullmatch(NAME_PATTERN, text) or is_of_other_form:
        return None
    if not all(workspace):
        if not re.fullmatch(OWN_PATTERN, text):
            return None
        raise Rejected([make_problem("run-not-adopted.no-workspace", given=text)])
    with errors.reject_errors(workspace, f"ask Azure ML for the job {text}"):
        job = jobs.find_job(jobs.get_client(), workspace, text)
        if job is None:
            raise jobs.make_run_gone(workspace, text)
        properties = job.get_object("properties")
    kind = properties.get_text("jobType")
    if kind != SINGLE:
        raise Rejected([make_problem("run-not-adopted.parts", given=text, kind=kind or "unknown")])
    code = properties.get_text("codeId")
    created_at = parse_time(job.get_object("systemData").get_text("createdAt"))

    def refer(of: Job, carried: Any) -> Reference:
        run = text.rpartition("-")[0]
        spec = make_submission_spec(of, carried, run, ())
        return make_job_reference(spec, text, code)

    return SubmittedRun(_read_document(workspace, code, text), refer, created_at)


def _read_document(workspace: Workspace, code: str, job: str) -> bytes:
    """Return the job document among the code of a job; empty if there is none. Raise Rejected."""
    if not code:
        return b""
    arm = jobs.get_client()
    with errors.reject_errors(workspace, f"read the code of the job {job}"):
        uri = arm.get_properties(code).get_text("codeUri")
        store = storage.get_datastore(arm, workspace, CODE_DATASTORE)
        account = store.url.removesuffix(store.container)
        container, _, folder = uri.removeprefix(account).partition("/")
        if not uri.startswith(account) or not folder:  # in another account
            return b""
        name = f"{folder.rstrip('/')}/{DOCUMENT_FILE.removeprefix(f'{CODE_FOLDER}/')}"
        with datastore.open_datastore(arm, replace(store, container=container)) as blobs:  # uploads have one each
            return blobs.read_blob(name) if blobs.has_blob(name) else b""


def list_submitted(settings: AzureMLSettings, everyone: bool) -> Iterator[ListedSubmission] | None:
    """Return the jobs of the configured workspace that are runs, the newest first; None without a workspace.

    Raise Rejected.
    """
    workspace = get_job_workspace(settings)
    return _list_jobs(workspace, everyone) if all(workspace) else None


def _list_jobs(workspace: Workspace, everyone: bool) -> Iterator[ListedSubmission]:
    with errors.reject_errors(workspace, "list the jobs of the workspace"):
        caller_names = frozenset() if everyone else credential.get_caller_names()
        for job in jobs.get_client().list_all(f"{workspace.resource}/jobs", tag=RUN_TAG):
            name = job.get_text("name")
            properties = job.get_object("properties")
            run = properties.get_object("tags").get_text(RUN_TAG)
            system_data = job.get_object("systemData")
            user = system_data.get_text("createdBy")
            if RUN_PATTERN.fullmatch(run) and (not caller_names or user in caller_names):
                state = job_state.parse_job(job, {}).state
                created_at = parse_time(system_data.get_text("createdAt"))
                is_single = properties.get_text("jobType") == SINGLE
                yield ListedSubmission(name, run, state, {"job": name}, created_at, user, is_single)
