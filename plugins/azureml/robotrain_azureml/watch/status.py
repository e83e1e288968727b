"""How a job is: asked once; of one that failed, the end of its log says why."""

import dataclasses
import re
import time

from robotrain.run import Reference, Status
from robotrain_azure import caller
from robotrain_azure.arm import ArmError
from robotrain_azure.caller import UNKNOWN as OBJECT
from robotrain_azure.workspace import Workspace

from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.service.datastore import StorageError
from robotrain_azureml.service.refusals_storage import UNKNOWN as ACCOUNT
from robotrain_azureml.watch import logs, reasons, status_asked
from robotrain_azureml.watch.states import Job


def status(reference: Reference) -> Status:
    """The state, and why. Raises RunGone, Refused."""
    told, unheard = status_asked.ask(reference)
    return Status(
        state=told.state,
        reason="; ".join(part for part in (_reason(reference, told), _unheard(unheard)) if part),
        exit_code=_exit_code(told),
        started=None if told.state == "pending" else told.started,
        ended=told.ended if told.finished else None,
    )


def _reason(reference: Reference, told: Job) -> str:
    at = jobs.workspace_of(reference)
    if not told.finished:
        return reasons.waiting(told, at, time.time())
    if told.state == "succeeded":
        return ""
    if told.state == "cancelled":
        return reasons.cancelled(told)
    return _failed(reference, told, at)


def _failed(reference: Reference, told: Job, at: Workspace) -> str:
    """Asks for what a command of it leaves open."""
    outcome = None if told.timed_out else logs.outcome(reference, told)
    said = reasons.failed(told, at, outcome)
    if not re.search(rf"(?:/storageAccounts/{ACCOUNT}|--assignee {OBJECT})\b", said):
        return said
    told = dataclasses.replace(told, storage=_storage(reference, at), sender=caller.object_id())
    return reasons.failed(told, at, outcome)


def _storage(reference: Reference, at: Workspace) -> str:
    """The account of its output; empty where nobody tells."""
    try:
        return datastore.named(jobs.signed_in(), at, reference.get("datastore", "")).account
    except (ArmError, StorageError):
        return ""


def _unheard(why: str) -> str:
    return f"the workspace's region does not say more: {why}" if why else ""


def _exit_code(told: Job) -> int | None:
    if not told.finished:
        return None
    return 0 if told.state == "succeeded" else told.exit_code
