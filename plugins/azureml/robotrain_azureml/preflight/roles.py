"""Roles of who submits and of the job's identity: workspace, storage, key vault."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from robotrain.errors import Problem, Suggestion
from robotrain_azure import credential, roles
from robotrain_azure import preflight_checks as azure
from robotrain_azure.arm import ArmError
from robotrain_azure.errors import DATA_SCIENTIST_ROLE, make_role_command
from robotrain_azure.preflight_checks import RoleHolder
from robotrain_azure.roles import is_allowed
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.preflight import assets, context, machines
from robotrain_azureml.preflight.context import PreflightContext, make_preflight_problem
from robotrain_azureml.service.datastore import StorageError
from robotrain_azureml.spec.submission_spec import KeyVaultSecret

AUTHORIZATION_API_VERSION = "2022-04-01"
WORKSPACE_TYPE = "Microsoft.MachineLearningServices/workspaces"
SUBMIT_ACTIONS = {
    f"{WORKSPACE_TYPE}/jobs/write": "make a job",
    f"{WORKSPACE_TYPE}/codes/versions/write": "upload its code",
}
REGISTER_ACTIONS = {f"{WORKSPACE_TYPE}/environments/versions/write": "register its environment"}
LIST_SECRETS_ACTION = f"{WORKSPACE_TYPE}/datastores/listSecrets/action"
"""What a datastore's secret is asked with."""


def check_caller_roles(preflight: PreflightContext) -> Iterator[Problem]:
    """What their roles do not let them do that a submit needs. Raises ArmError."""
    at = preflight.spec.target_workspace
    granted = list(
        preflight.arm.list_all(
            f"{at.resource}/providers/Microsoft.Authorization/permissions", AUTHORIZATION_API_VERSION
        )
    )
    new = assets.fetch_environment_image(preflight) is None
    needed = {**SUBMIT_ACTIONS, **(REGISTER_ACTIONS if new else {}), **_list_upload_actions(preflight)}
    lacking = [what for action, what in needed.items() if not any(is_allowed(one, action) for one in granted)]
    if lacking:
        who = credential.get_caller_object_id()
        title = f"who is signed in may not {' or '.join(lacking)} in the workspace {at.name}"
        why = f"None of their roles there allows it; {DATA_SCIENTIST_ROLE} would."
        way = Suggestion(make_role_command(who, DATA_SCIENTIST_ROLE, at.resource), "takes effect after some minutes")
        yield make_preflight_problem("azureml-not-allowed", title, "--workspace-name", at.name, why, way)


def _list_upload_actions(preflight: PreflightContext) -> Mapping[str, str]:
    """For folders of this machine, where the workspace keeps a secret for the datastore they go to."""
    order = preflight.spec
    if not order.uploads:
        return {}
    try:
        keyed = context.get_job_datastore(preflight).keyed
    except (ArmError, StorageError):  # the look at the storage says so
        return {}
    return {LIST_SECRETS_ACTION: f"ask for the secret of the datastore {order.datastore}"} if keyed else {}


REGISTER_PARAMETER = "register_checkpoint"


def check_storage_roles(preflight: PreflightContext, accounts: Mapping[str, bool]) -> Iterator[Problem]:
    """What it may not do there. accounts: those that it reaches, and whether it writes there."""
    order = preflight.spec
    if order.identity:
        yield from azure.check_identity_blob_roles(order.identity, order.subscription, accounts)
    elif who := find_compute_role_holder(preflight):
        yield from azure.check_blob_roles(who, order.subscription, accounts)


def check_model_roles(preflight: PreflightContext, document: JobDocument) -> Iterator[Problem]:
    """That it may not make a checkpoint a model, where the job is to. Raises ArmError."""
    if document.parameters.get(REGISTER_PARAMETER) and (who := find_role_holder(preflight)):
        yield from azure.check_model_roles(who, preflight.spec.target_workspace)


def find_assignee(preflight: PreflightContext) -> str:
    """Its object id, for a command that gives it a role; `caller.UNKNOWN` where it is not told."""
    try:
        found = find_role_holder(preflight)
    except ArmError:
        return credential.UNKNOWN_OBJECT_ID
    return found.principal if found else credential.UNKNOWN_OBJECT_ID


def find_role_holder(preflight: PreflightContext) -> RoleHolder | None:
    """Whom the job signs in as; None where that is not known from here. Raises ArmError."""
    order = preflight.spec
    if not order.identity:
        return find_compute_role_holder(preflight)
    principal = roles.find_principal(preflight.arm, order.subscription, order.identity)
    return RoleHolder(principal, azure.IDENTITY_FLAG, order.identity) if principal else None


def find_compute_role_holder(preflight: PreflightContext) -> RoleHolder | None:
    """Whom a job signs in as that names nobody: the compute itself, or the one identity that it was given."""
    try:
        found = machines.parse_compute(preflight.get(f"computes/{preflight.spec.compute}"))
    except ArmError:  # the look at the compute says so
        return None
    given = [one.principal for one in found.identities]
    principal = found.principal if found.system_assigned else given[0] if len(given) == 1 else ""
    return RoleHolder(principal, "--compute", found.name) if principal else None


def check_vault_role(preflight: PreflightContext, secret: KeyVaultSecret) -> Iterator[Problem]:
    """A role that is missing; nothing where the vault, or whom the job signs in as, is not seen. Raises ArmError."""
    name = (urlsplit(secret.uri).hostname or "").partition(".")[0]
    vault = roles.find_vault(preflight.arm, preflight.spec.subscription, name)
    who = find_role_holder(preflight) if vault else None
    if who is None or not roles.is_missing_secret_role(preflight.arm, vault, who.principal):
        return
    title = f"the identity of the job may not read the key vault {name}, which holds {secret.what}"
    why = f"None of its roles allows it, neither there nor above; {roles.SECRETS_USER_ROLE} would."
    way = Suggestion(
        make_role_command(who.principal, roles.SECRETS_USER_ROLE, vault), "takes effect after some minutes"
    )
    yield make_preflight_problem("azure-role-missing", title, who.where, who.given, why, way, severity="warning")
