"""The job of an interrupted submit: its name, drawn once and written down before, and the job found by it.

And whether the workspace was ever asked for that job.
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
    """The job's name: the one drawn for this very plan, else a new one. Raises Rejected when it cannot be kept, or
    read.
    """
    import secrets

    if name := read_job_name(plan):
        return name
    name = f"{plan.run}-{secrets.token_hex(3)}"  # an equal job of a colleague has the same run's name
    _write_record(plan, name, requested=False)
    return name


def read_job_name(plan: Plan) -> str:
    """The name that was drawn for this very plan; empty when none was. Raises Rejected for a file that is damaged."""
    return str(_read_record(plan).get("job", ""))


def is_job_requested(plan: Plan) -> bool:
    """Whether the workspace was asked for the job: it may be there, now or a little later. Raises Rejected."""
    told = _read_record(plan)
    return bool(told) and told.get("asked", True) is not False


def mark_job_requested(plan: Plan, name: str) -> None:
    """The workspace is asked for the job in a moment. Raises Rejected."""
    if not is_job_requested(plan):
        _write_record(plan, name, requested=True)


def forget_job_name(plan: Plan) -> None:
    """Azure ML has none, and was not asked for it, or refused: there is nothing to find. Raises OSError."""
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
    """What is noted of this very plan; empty without a note."""
    file = _get_file(plan)
    try:
        told: dict[str, Any] = json.loads(file.read_bytes())
        return told if str(told["plan"]) == plan.digest and str(told["job"]) else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):  # a JSON or UTF-8 error is a ValueError
        raise Rejected([_make_damaged_problem(file, plan)]) from None


def _make_damaged_problem(file: Path, plan: Plan) -> Problem:
    return Problem(
        code="azureml-note-damaged",
        stage=Stage.SUBMIT,
        title="under which name it was handed to Azure ML cannot be read",
        given=str(file),
        why=f"If it runs, its name there begins with {plan.run}-.",
        suggestions=(
            Suggestion("--new", "leaves it alone and sends the job as a run of its own"),
            Suggestion(f"rm {file}", "forgets it, when you know that it does not run"),
        ),
    )


def find_run(plan: Plan) -> Reference | None:
    """Where the plan runs that was handed over from here; None when the workspace has no such job.

    Raises Rejected when it cannot be asked.
    """
    order = submission_spec.load_submission_spec(plan, Stage.SUBMIT)
    return find_submitted_job(order, read_job_name(plan)) if is_job_requested(plan) else None


def find_submitted_job(spec: AzureMLSubmissionSpec, name: str) -> Reference | None:
    """The job of a name, which is ours: its last letters were drawn for it. Raises Rejected."""
    try:
        job = jobs.find_job(jobs.get_client(), spec.target_workspace, name)
    except ArmError as error:
        raise errors.make_rejection(error, spec.target_workspace, f"ask for the job {name}") from None
    if job is None:
        return None
    return job_file.make_reference(spec, name, str((job.get("properties") or {}).get("codeId") or ""))
