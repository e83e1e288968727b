"""Preflight checks that platforms on Azure share: workspace, roles, and the data that this machine can read.

What Azure does not show is reported as unchecked, never as missing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from robotrain.cluster.outputs import print_progress
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.store.files import get_cache_folder
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.preflight import preflight_remotely
from robotrain_sources.local_path import container

from robotrain_azure import credential, errors, roles
from robotrain_azure.arm import SIGNED_OUT, ArmClient, ArmError
from robotrain_azure.roles import Permission
from robotrain_azure.workspace import Workspace

make_problem = Messages(__file__)

PATIENCE_SECONDS = 5.0
IDENTITY_FLAG = "--workload-identity"
ROLE_DELAY = "takes effect after a few minutes"


@dataclass(frozen=True, slots=True)
class RoleHolder:
    """The identity that a job signs in with."""

    principal: str
    """The object id, which roles are assigned to."""
    where: str
    """The option that names it."""
    given: str


def check_workspace(workspace: Workspace) -> Iterator[Problem]:
    """Check that the workspace exists; a warning if that cannot be checked."""
    try:
        ArmClient(PATIENCE_SECONDS).get(workspace.resource)
    except ArmError as error:
        diagnosis = errors.diagnose_workspace_error(error, workspace)
        is_missing, is_group_missing = diagnosis.kind == "missing", error.code == "ResourceGroupNotFound"
        yield make_problem(
            "resource-unknown" if is_missing else "not-checked-here",
            *diagnosis.suggestions,
            where="--resource-group" if is_group_missing else "--workspace-name",
            given=workspace.group if is_group_missing else workspace.name,
            severity="error" if is_missing else "warning",
            title=diagnosis.title if is_missing else f"cannot check the Azure ML workspace {workspace.name}",
            why=diagnosis.why if is_missing else f"{diagnosis.title}: {diagnosis.why}",
        )


def check_identity_blob_roles(
    client_id: str, subscription: str, accounts: Mapping[str, bool], arm: ArmClient | None = None
) -> Iterator[Problem]:
    """Warn if the job's identity may not read blobs of these storage accounts, or write where `accounts` is true."""
    if not accounts:
        return
    arm = arm or ArmClient(PATIENCE_SECONDS)
    holder = RoleHolder("", IDENTITY_FLAG, client_id)
    subject = ", ".join(sorted(accounts))
    reason: ArmError | str = f"You can see no identity with that client id in the subscription {subscription}."
    try:
        if principal := roles.find_principal(arm, subscription, client_id):
            yield from check_blob_roles(RoleHolder(principal, IDENTITY_FLAG, client_id), subscription, accounts, arm)
            return
    except ArmError as error:
        reason = error
    yield _make_unchecked_problem(holder, subject, reason)


def check_blob_roles(
    holder: RoleHolder, subscription: str, accounts: Mapping[str, bool], arm: ArmClient
) -> Iterator[Problem]:
    """Check the same for an identity whose object id is known."""
    if not accounts:
        return
    try:
        account_ids = roles.list_storage_accounts(arm, subscription)
    except ArmError as error:
        yield _make_unchecked_problem(holder, ", ".join(sorted(accounts)), error)
        return
    for name, writes in sorted(accounts.items()):
        if name not in account_ids:
            reason = f"You can see no storage account {name} in the subscription {subscription}."
            yield _make_unchecked_problem(holder, name, reason)
            continue
        permission = roles.WRITE_BLOBS if writes else roles.READ_BLOBS
        action = f"{'write' if writes else 'read'} blobs of the account {name}"
        role = roles.BLOB_CONTRIBUTOR_ROLE if writes else roles.BLOB_READER_ROLE
        yield from _check_permission(arm, account_ids[name], holder, permission, name, action, role)


def check_model_roles(holder: RoleHolder, workspace: Workspace, arm: ArmClient) -> Iterator[Problem]:
    """Warn if the job's identity may not register models in a workspace."""
    name = f"the workspace {workspace.name}"
    action, role = f"register models in {name}", errors.DATA_SCIENTIST_ROLE
    yield from _check_permission(arm, workspace.resource, holder, roles.REGISTER_MODELS, name, action, role)


def _check_permission(
    arm: ArmClient, resource: str, holder: RoleHolder, permission: Permission, name: str, action: str, role: str
) -> Iterator[Problem]:
    """Check a permission in a resource. `action`: what it allows, in words; `role`: one that has it."""
    try:
        if not roles.has_permission(arm, resource, holder.principal, permission):
            yield make_role_problem(holder, action, role, resource)
    except ArmError as error:
        yield _make_unchecked_problem(holder, name, error)


def make_role_problem(holder: RoleHolder, action: str, role: str, scope: str) -> Problem:
    """Return the warning that the job's identity lacks a role. `action`: what it may not do, in words."""
    return make_problem(
        "azure-role-missing",
        Suggestion(errors.make_role_command(holder.principal, role, scope), ROLE_DELAY),
        where=holder.where,
        given=holder.given,
        action=action,
        role=role,
    )


def _make_unchecked_problem(holder: RoleHolder, subject: str, reason: ArmError | str) -> Problem:
    explanation = reason if isinstance(reason, str) else f"{reason}."
    login = credential.suggest_sign_in(str(reason)) if getattr(reason, "code", "") == SIGNED_OUT else ""
    return make_problem(
        "not-checked-here.roles", login, where=holder.where, given=holder.given, subject=subject, why=explanation
    )


DATA_CHECK_SECONDS = 30.0
CERTAIN_CODES = ("data-unusable",)
"""Problems that do not depend on who looks; for others, the job's identity may have access where you do not."""
JOB_CHECKS_AGAIN = "The job checks again with its own identity."
BLOB_KIND = "blob_url"
MAX_WARNINGS = 3
"""Warnings shown before the rest is summarized."""
SIGN_IN_HINTS = MappingProxyType({BLOB_KIND: "`az login` lets this machine check them"})


def check_data(document: JobDocument) -> Iterator[Problem]:
    """Check the access to sources and publish targets from this machine, and that datasets can be merged."""
    sources = select_checkable_sources(document)
    if not sources and not is_published_to_blobs(document):
        return
    findings = preflight_remotely(
        document, get_cache_folder(), print_progress, DATA_CHECK_SECONDS, SIGN_IN_HINTS, sources
    )
    warned = 0
    for problem in findings:
        if problem.code not in CERTAIN_CODES:
            problem = replace(problem, why=f"{problem.why} {JOB_CHECKS_AGAIN}".strip(), severity="warning")
        warned += problem.severity == "warning"
        if problem.severity != "warning" or warned <= MAX_WARNINGS:
            yield problem
    if warned > MAX_WARNINGS:
        yield make_problem("source-unreachable", warned=warned - MAX_WARNINGS)


def select_checkable_sources(document: JobDocument) -> tuple[JobSource, ...]:
    """Return the sources to check from here: all readable ones if datasets are merged, else blobs without a pin."""
    mounted_keys = {(mount.role, mount.uri) for mount in document.placement.mounts if mount.origin}
    sources = [
        source
        for source in document.sources
        if ((source.role, source.uri) not in mounted_keys or source.kind == "local_path")
        and source.kind not in document.placement.credentials
    ]
    if sum(source.role == "dataset" for source in sources) <= 1:
        return tuple(source for source in sources if source.kind == BLOB_KIND and not source.pin)
    context = ContainerContext(cache=get_cache_folder())
    return tuple(  # a folder that was uploaded need not be on this machine as it was pinned
        source
        for source in sources
        if (source.role, source.uri) not in mounted_keys or not any(container.preflight(source, context))
    )


def is_published_to_blobs(document: JobDocument) -> bool:
    """Return whether the run writes to blobs with its own identity."""
    url = str(document.parameters.get("publish_url") or "")
    return ".blob." in url and BLOB_KIND not in document.placement.credentials
