"""The datastore of a job: whether it exists, and lets who submits list what folders are uploaded to."""

from collections.abc import Iterator

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure.arm import ArmError, StorageError
from robotrain_azure.errors import diagnose_error
from robotrain_azure.storage import Datastore, get_datastore

from robotrain_azureml.preflight import context
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.service import datastore as service

make_problem = Messages(__file__)


def check_storage(preflight: PreflightContext) -> Iterator[Problem]:
    """Check that the datastore exists, holds blobs, and takes uploads if there are any. Raises ArmError."""
    spec = preflight.spec
    command = spec.make_az_command("datastore list")
    try:
        store = get_datastore(preflight.arm, spec.target_workspace, spec.datastore)
    except StorageError as error:
        fix = Suggestion(command, "lists the others")
        yield make_problem("resource-unsuitable.datastore", fix, given=spec.datastore, error=str(error))
        return
    except ArmError as error:
        if error.status != 404:
            raise
        path = f"{spec.target_workspace.resource}/datastores"
        fixes = context.suggest_existing(preflight.arm, path, "--datastore {}", spec.datastore, command)
        yield make_problem("resource-unknown.datastore", *fixes, given=spec.datastore, datastore=spec.datastore)
        return
    for upload in spec.uploads[:1]:
        yield from try_blobs(preflight, store, upload.to, upload.flag)


def try_blobs(preflight: PreflightContext, datastore: Datastore, folder: str = "", flag: str = "") -> Iterator[Problem]:
    """List the blobs of a datastore, as an upload of a folder does first. `flag`: the option with the folder."""
    workspace = preflight.spec.target_workspace
    try:
        with service.open_datastore(preflight.arm, datastore, retries=0) as blobs:
            next(iter(blobs.list_blobs(folder)), None)
    except ArmError as error:  # of its secret
        yield context.make_workspace_problem(error, workspace)
    except StorageError as error:
        diagnosis = diagnose_error(error, workspace)
        if diagnosis.kind != "role":
            yield context.make_unchecked_problem([f"the datastore {datastore.name}"], diagnosis)
            return
        title, reason = diagnosis.title, redact(diagnosis.why, max_length=MAX_SENTENCE)
        ways = diagnosis.suggestions
        yield make_problem("platform-forbidden", *ways, where=flag, given=datastore.url, title=title, why=reason)
