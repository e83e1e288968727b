"""Reconciliation of an interrupted submit: the job's name is recorded before submission, and the job is found by it.

The record also says whether the workspace was asked for the job.
"""

import json
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.store import files, records
from robotrain_azure.arm import ArmError

from robotrain_azureml import errors
from robotrain_azureml.service import jobs
from robotrain_azureml.spec import submission_spec
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec
from robotrain_azureml.submit import job_file

NAME_FILE = "azureml-sent.json"


def draw_job_name(plan: Plan) -> str:
    """Return the job's name: the one recorded for this plan, else a new one. Raises Rejected."""
    import secrets

    if name := read_job_name(plan):
        return name
    name = f"{plan.run}-{secrets.token_hex(3)}"  # a colleague's equal job has the same run name
    _write_record(plan, name, requested=False)
    return name


def read_job_name(plan: Plan) -> str:
    """Return the recorded name; empty if there is none. Raises Rejected for a damaged record."""
    return str(_read_record(plan).get("job", ""))


def is_job_requested(plan: Plan) -> bool:
    """Return whether the workspace was asked for the job, which may exist now or soon. Raises Rejected."""
    record = _read_record(plan)
    return bool(record) and record.get("asked", True) is not False


def mark_job_requested(plan: Plan, name: str) -> None:
    """Record that the workspace is about to be asked for the job. Raises Rejected."""
    if not is_job_requested(plan):
        _write_record(plan, name, requested=True)


def forget_job_name(plan: Plan) -> None:
    """Delete the record: the workspace has no such job. Raises OSError."""
    _get_file(plan).unlink(missing_ok=True)


def _get_file(plan: Plan) -> Path:
    return records.get_run_folder(plan.run) / NAME_FILE


def _write_record(plan: Plan, name: str, requested: bool) -> None:
    file = _get_file(plan)
    text = json.dumps({"plan": plan.digest, "job": name, "asked": requested}, indent=1) + "\n"
    with records.report_write_errors():
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(file, text.encode())
        files.sync_folder(file.parent.parent)


def _read_record(plan: Plan) -> dict[str, Any]:
    """Return the record of this plan; empty if there is none."""
    file = _get_file(plan)
    try:
        record: dict[str, Any] = json.loads(file.read_bytes())
        return record if str(record["plan"]) == plan.digest and str(record["job"]) else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):  # a JSON or UTF-8 error is a ValueError
        raise Rejected([_make_damaged_problem(file, plan)]) from None


def _make_damaged_problem(file: Path, plan: Plan) -> Problem:
    return Problem(
        code="azureml-note-damaged",
        stage=Stage.SUBMIT,
        title="cannot read the record of the job's name in Azure ML",
        given=str(file),
        why=f"If the job exists, its name begins with {plan.run}-.",
        suggestions=(
            Suggestion("--new", "starts a new run and keeps the record"),
            Suggestion(f"rm {file}", "if you know that the job does not exist"),
        ),
    )


def find_run(plan: Plan) -> Reference | None:
    """Return the job of an earlier submit of this plan; None if there is none. Raises Rejected."""
    spec = submission_spec.SUBMISSION.load(plan, Stage.SUBMIT)
    return find_submitted_job(spec, read_job_name(plan)) if is_job_requested(plan) else None


def find_submitted_job(spec: AzureMLSubmissionSpec, name: str) -> Reference | None:
    """Return the job of this name, which is ours: its suffix was drawn at random. Raises Rejected."""
    try:
        job = jobs.find_job(jobs.get_client(), spec.target_workspace, name)
    except ArmError as error:
        raise errors.make_rejection(error, spec.target_workspace, f"ask for the job {name}") from None
    if job is None:
        return None
    return job_file.make_reference(spec, name, str((job.get("properties") or {}).get("codeId") or ""))
