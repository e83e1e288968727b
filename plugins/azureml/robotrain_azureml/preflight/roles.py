"""Roles of the submitter and of the job's identity: workspace, storage, key vault."""

import contextlib
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from robotrain.errors import Problem, Suggestion
from robotrain_azure import credential, roles
from robotrain_azure import preflight_checks as azure
from robotrain_azure.arm import ArmError, ServiceError
from robotrain_azure.errors import DATA_SCIENTIST_ROLE, make_role_command
from robotrain_azure.preflight_checks import RoleHolder
from robotrain_azure.roles import is_allowed
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.preflight import assets, context, machines
from robotrain_azureml.preflight.context import PreflightContext, make_preflight_problem
from robotrain_azureml.spec.submission_spec import KeyVaultSecret

WORKSPACE_TYPE = "Microsoft.MachineLearningServices/workspaces"
SUBMIT_ACTIONS = {
    f"{WORKSPACE_TYPE}/jobs/write": "create a job",
    f"{WORKSPACE_TYPE}/codes/versions/write": "upload its code",
}
REGISTER_ACTIONS = {f"{WORKSPACE_TYPE}/environments/versions/write": "register its environment"}
LIST_SECRETS_ACTION = f"{WORKSPACE_TYPE}/datastores/listSecrets/action"
"""Needed to read a datastore's secret."""


def check_caller_roles(preflight: PreflightContext) -> Iterator[Problem]:
    """Check that your roles allow everything that a submit needs. Raises ArmError."""
    workspace = preflight.spec.target_workspace
    path = f"{workspace.resource}/providers/Microsoft.Authorization/permissions"
    permissions = list(preflight.arm.list_all(path, roles.AUTHORIZATION_API_VERSION))
    is_new = assets.fetch_environment_image(preflight) is None
    needed = {**SUBMIT_ACTIONS, **(REGISTER_ACTIONS if is_new else {}), **_list_upload_actions(preflight)}
    denied = [text for action, text in needed.items() if not any(is_allowed(part, action) for part in permissions)]
    if denied:
        command = make_role_command(credential.get_caller_object_id(), DATA_SCIENTIST_ROLE, workspace.resource)
        title = f"you may not {' or '.join(denied)} in the workspace {workspace.name}"
        why = f"You need a role like {DATA_SCIENTIST_ROLE} there."
        fix = Suggestion(command, azure.ROLE_DELAY)
        yield make_preflight_problem("azureml-not-allowed", title, "--workspace-name", workspace.name, why, fix)


def _list_upload_actions(preflight: PreflightContext) -> Mapping[str, str]:
    """Return the action for uploads to a datastore with a secret."""
    spec = preflight.spec
    with contextlib.suppress(ServiceError):  # the check of the storage reports it
        if spec.uploads and context.get_datastore(preflight).keyed:
            return {LIST_SECRETS_ACTION: f"read the secret of the datastore {spec.datastore}"}
    return {}


REGISTER_PARAMETER = "register_checkpoint"


def check_storage_roles(preflight: PreflightContext, accounts: Mapping[str, bool]) -> Iterator[Problem]:
    """Check the job identity's roles on storage accounts. `accounts`: whether the job writes to each."""
    spec = preflight.spec
    if spec.identity:
        yield from azure.check_identity_blob_roles(spec.identity, spec.subscription, accounts)
    elif holder := find_compute_role_holder(preflight):
        yield from azure.check_blob_roles(holder, spec.subscription, accounts)


def check_model_roles(preflight: PreflightContext, document: JobDocument) -> Iterator[Problem]:
    """Check that the job may register models, if it should. Raises ArmError."""
    if document.parameters.get(REGISTER_PARAMETER) and (holder := find_role_holder(preflight)):
        yield from azure.check_model_roles(holder, preflight.spec.target_workspace)


def find_assignee(preflight: PreflightContext) -> str:
    """Return the object id of the job's identity for a command; a placeholder if it is not known."""
    with contextlib.suppress(ArmError):
        if holder := find_role_holder(preflight):
            return holder.principal
    return credential.UNKNOWN_OBJECT_ID


def find_role_holder(preflight: PreflightContext) -> RoleHolder | None:
    """Return the identity that the job signs in with; None if it is not known. Raises ArmError."""
    spec = preflight.spec
    if not spec.identity:
        return find_compute_role_holder(preflight)
    principal = roles.find_principal(preflight.arm, spec.subscription, spec.identity)
    return RoleHolder(principal, azure.IDENTITY_FLAG, spec.identity) if principal else None


def find_compute_role_holder(preflight: PreflightContext) -> RoleHolder | None:
    """Return the default identity of jobs: the compute's own, or its only user-assigned one."""
    try:
        compute = machines.parse_compute(preflight.get(f"computes/{preflight.spec.compute}"))
    except ArmError:  # the check of the compute reports it
        return None
    assigned = [identity.principal for identity in compute.identities]
    principal = compute.principal if compute.system_assigned else assigned[0] if len(assigned) == 1 else ""
    return RoleHolder(principal, "--compute", compute.name) if principal else None


def check_vault_role(preflight: PreflightContext, secret: KeyVaultSecret) -> Iterator[Problem]:
    """Check that the job may read a secret, if the vault and the job's identity are known. Raises ArmError."""
    name = (urlsplit(secret.uri).hostname or "").partition(".")[0]
    vault = roles.find_vault(preflight.arm, preflight.spec.subscription, name)
    holder = find_role_holder(preflight) if vault else None
    if holder and not roles.has_permission(preflight.arm, vault, holder.principal, roles.READ_SECRETS):
        action = f"read the key vault {name} with {secret.what}"
        yield azure.make_role_problem(holder, action, roles.SECRETS_USER_ROLE, vault)
