"""The environment, data assets and models of a job: whether each exists."""

import re
from collections.abc import Iterator

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure import errors
from robotrain_azure.arm import ArmError, StorageError
from robotrain_azure.errors import diagnose_error
from robotrain_azure.storage import Datastore, get_datastore
from robotrain_azure.workspace import SCOPE_PATTERN, Workspace

from robotrain_azureml.preflight import context
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.service import datastore as service
from robotrain_azureml.spec.submission_spec import WorkspaceAsset
from robotrain_azureml.submit import submit

make_problem = Messages(__file__)

COMMANDS = {"data": "data", "models": "model"}
"""Groups of commands of the Azure CLI."""


def check_environment(preflight: PreflightContext) -> Iterator[Problem]:
    """Check the environment's image; note that a missing one will be registered. Raises ArmError."""
    environment = preflight.spec.environment
    image = fetch_environment_image(preflight)
    if image is None and environment.is_curated:
        yield submit.make_missing_environment_problem(environment, Stage.PREFLIGHT)
    elif image is None:
        yield make_problem("azureml-environment-new", given=environment.image, label=environment.label)
    elif environment.registry or (image != environment.image and environment.accepts(image)):
        yield make_problem("azureml-environment-unseen", given=environment.reference, label=environment.label)
    elif image != environment.image:
        yield submit.make_environment_differs_problem(environment, image, Stage.PREFLIGHT)


def fetch_environment_image(preflight: PreflightContext) -> str | None:
    """Return the environment's image, empty if Azure builds it or a registry has it; None if it does not exist.

    Raises ArmError.
    """
    environment = preflight.spec.environment
    if environment.registry:
        return ""
    try:
        resource = preflight.get(f"environments/{environment.name}/versions/{environment.version}")
    except ArmError as error:
        if error.status == 404:
            return None
        raise
    properties = resource.get_object("properties")
    is_built = properties.get("condaFile") or properties.get("build")
    return "" if is_built else properties.get_text("image")


def check_asset(preflight: PreflightContext, asset: WorkspaceAsset) -> Iterator[Problem]:
    """Check that an asset of the job's workspace exists; Azure ML looks for others. Raises ArmError."""
    workspace = preflight.spec.target_workspace
    match = re.fullmatch(SCOPE_PATTERN, asset.scope, re.IGNORECASE)
    if asset.scope and not (match and Workspace(*match.groups()).resource.lower() == workspace.resource.lower()):
        return
    try:
        preflight.get(f"{asset.kind}/{asset.name}/versions/{asset.version}")
    except ArmError as error:
        if not errors.is_part_missing(error, asset.name):
            raise
        title = f"the workspace {workspace.name} has no version {asset.version} of the {asset.noun} {asset.name}"
        command = preflight.spec.make_az_command(f"{COMMANDS[asset.kind]} list --name {asset.name}")
        fix = Suggestion(command, "lists its versions")
        yield make_problem("resource-unknown.asset", fix, where=asset.flag, given=asset.format_value(), title=title)


def check_storage(preflight: PreflightContext) -> Iterator[Problem]:
    """Check that the datastore exists, holds blobs, and takes uploads if there are any. Raises ArmError."""
    spec = preflight.spec
    fix = Suggestion(spec.make_az_command("datastore list"), "lists the others")
    try:
        store = get_datastore(preflight.arm, spec.target_workspace, spec.datastore)
    except StorageError as error:
        yield make_problem("resource-unsuitable.datastore", fix, given=spec.datastore, error=str(error))
        return
    except ArmError as error:
        if error.status != 404:
            raise
        yield make_problem("resource-unknown.datastore", fix, given=spec.datastore, datastore=spec.datastore)
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
