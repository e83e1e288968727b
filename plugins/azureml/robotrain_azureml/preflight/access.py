"""Access to the workspace, storage accounts and key vaults: whether they answer, and let the job and you in.

Requests use the same library as uploads, with its proxies and certificates.
"""

import contextlib
import importlib
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.health import RunCheck, find_problems
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure import credential, preflight_checks, roles
from robotrain_azure.arm import ArmError
from robotrain_azure.errors import make_role_command
from robotrain_azure.preflight_checks import RoleHolder
from robotrain_azure.storage import Datastore, StorageError, diagnose_storage_error, make_identity_auth_command
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.preflight import assets, context, machines
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.service import datastore as service
from robotrain_azureml.spec.submission_spec import KeyVaultSecret

make_problem = Messages(__file__)

AUTH_MODE = "systemDatastoresAuthMode"
"""The property of a workspace with the way in which it signs in to its datastores."""
KEY_MODES = ("", "accesskey")
KNOWN_MODES = (*KEY_MODES, "identity", "userdelegationsas")
"""Modes in which a workspace signs in to its datastores; the last two need no key."""


def check_storage(preflight: PreflightContext, document: JobDocument) -> Iterator[Problem]:
    """Check that code, folders, outputs and published checkpoints can be written. Raises ArmError."""
    spec = preflight.spec
    command = preflight.spec.make_az_command("datastore list")
    try:
        store = preflight.get_datastore()
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
    checks: list[RunCheck] = [
        partial(_check_accounts, preflight, store),
        *(partial(try_blobs, preflight, store, upload.to, upload.flag) for upload in spec.uploads[:1]),
        partial(check_storage_roles, preflight, document, store),
        partial(_check_reachability, preflight, store),
    ]
    yield from find_problems(checks)


def _check_accounts(preflight: PreflightContext, datastore: Datastore) -> Iterator[Problem]:
    """Check the accounts of the datastore and of the workspace, which stores the job's code. Raises ArmError."""
    storage_account = preflight.get_property("storageAccount")
    name = _get_resource_name(storage_account)
    if storage_account:
        by_key = preflight.get_property(AUTH_MODE).lower() in KEY_MODES
        uses_key = by_key or (datastore.keyed and name == datastore.account)
        yield from context.soften_denial(
            f"the storage account {name}", _check_account(preflight, storage_account, uses_key)
        )
    if datastore.account != name and (datastore_account := _find_account_id(preflight, datastore.account)):
        problems = _check_account(preflight, datastore_account, datastore.keyed)
        yield from context.soften_denial(f"the storage account {datastore.account}", problems)


def _check_account(preflight: PreflightContext, resource: str, uses_key: bool) -> Iterator[Problem]:
    """Check the keys and the firewall of an account. `uses_key`: whether a key or a signature is used with it."""
    properties = preflight.arm.get_properties(resource, roles.ACCOUNTS_API_VERSION)
    account = _get_resource_name(resource)
    datastore = preflight.spec.datastore
    if properties.get("allowSharedKeyAccess") is False:
        is_own = resource == preflight.get_property("storageAccount")
        mode = preflight.get_property(AUTH_MODE)
        if uses_key:
            yield _make_keys_problem(preflight, resource)
        elif is_own and mode.lower() not in KNOWN_MODES:
            redacted_mode = redact(mode, max_length=MAX_SENTENCE)
            yield make_problem("not-checked-here.keys", given=datastore, account=account, shown=redacted_mode)
    is_closed = properties.get_object("networkAcls").get_text("defaultAction") == "Deny"
    if is_closed or properties.get_text("publicNetworkAccess") == "Disabled":
        yield make_problem("azureml-storage-closed", given=datastore, account=account)


def _make_keys_problem(preflight: PreflightContext, resource: str) -> Problem:
    spec, name = preflight.spec, _get_resource_name(resource)
    assignee = credential.UNKNOWN_OBJECT_ID
    with contextlib.suppress(ArmError):
        if holder := find_role_holder(preflight):
            assignee = holder.principal
    assignees = (credential.get_caller_object_id(), assignee)
    your_role_command, job_role_command = (
        make_role_command(who, roles.BLOB_CONTRIBUTOR_ROLE, resource) for who in assignees
    )
    fixes = (
        Suggestion(make_identity_auth_command(spec.target_workspace), "makes it use identities"),
        Suggestion(your_role_command, "for you"),
        Suggestion(job_role_command, "for the compute's identity"),
    )
    return make_problem("azureml-keys-refused", *fixes, given=spec.datastore, name=name, workspace=spec.workspace)


def _check_reachability(preflight: PreflightContext, datastore: Datastore) -> Iterator[Problem]:
    """Warn if the account with the job's code does not answer; what folders are uploaded to is tried."""
    account = _get_resource_name(preflight.get_property("storageAccount"))
    host = f"{account}.blob.{datastore.suffix}"
    if account and not is_reachable(f"https://{host}/?comp=list"):
        yield make_problem("not-checked-here.storage", given=host, account=account, host=host)


def try_blobs(preflight: PreflightContext, datastore: Datastore, folder: str = "", flag: str = "") -> Iterator[Problem]:
    """List the blobs of a datastore, as an upload of a folder does first. `flag`: the option with the folder."""
    workspace = preflight.spec.target_workspace
    try:
        with service.open_datastore(preflight.arm, datastore, retries=0) as blobs:
            next(iter(blobs.list_blobs(folder)), None)
    except ArmError as error:  # of its secret
        yield context.make_workspace_problem(error, workspace)
    except StorageError as error:
        diagnosis = diagnose_storage_error(error, workspace)
        if diagnosis.kind != "role":
            yield context.make_unchecked_problem([f"the datastore {datastore.name}"], diagnosis)
            return
        title, reason = diagnosis.title, redact(diagnosis.why, max_length=MAX_SENTENCE)
        ways = diagnosis.suggestions
        yield make_problem("platform-forbidden", *ways, where=flag, given=datastore.url, title=title, why=reason)


def _find_account_id(preflight: PreflightContext, name: str) -> str:
    """Return the id of a storage account; empty if you cannot see it. Raises ArmError."""
    storage_account = preflight.get_property("storageAccount")
    if _get_resource_name(storage_account) == name:
        return storage_account
    return roles.list_storage_accounts(preflight.arm, preflight.spec.subscription).get(name, "")


def _get_resource_name(resource: str) -> str:
    return resource.rpartition("/")[2]


REACHABILITY_SECONDS = 3.0


def is_reachable(url: str) -> bool:
    """Return whether a URL answers within seconds; a refusal is an answer."""
    request = importlib.import_module("azure.core.rest").HttpRequest("GET", url)
    timeouts = {"connection_timeout": REACHABILITY_SECONDS, "read_timeout": REACHABILITY_SECONDS}
    try:
        response = service.get_pipeline().send_request(request, stream=True, **timeouts)
    except Exception:  # of any underlying library
        return False
    response.close()
    return True


def check_vault_reachability(secret: KeyVaultSecret) -> Iterator[Problem]:
    """Warn if a key vault does not answer; it may still answer the job from its own network."""
    url = urlsplit(secret.uri)
    if url.scheme == "https" and not is_reachable(f"https://{url.netloc}/secrets?api-version=7.4"):
        vault = (url.hostname or "").partition(".")[0]
        yield make_problem("not-checked-here.vault", where=secret.flag, given=secret.uri, vault=vault, what=secret.what)


REGISTER_PARAMETER = "register_checkpoint"


def check_storage_roles(preflight: PreflightContext, document: JobDocument, store: Datastore) -> Iterator[Problem]:
    """Check the roles of the job's identity on the storage accounts that it reads and writes. Raises ArmError."""
    spec, arm = preflight.spec, preflight.arm
    blobs = (service.get_account_name(source.uri) for source in document.sources if source.kind == "blob_url")
    read_accounts = [*blobs, *assets.list_mounted_accounts(preflight, document)]
    written_accounts = [service.get_account_name(spec.publishes), "" if store.keyed else store.account]
    accounts = {**{name: False for name in read_accounts if name}, **{name: True for name in written_accounts if name}}
    if spec.identity:
        yield from preflight_checks.check_identity_blob_roles(spec.identity, spec.subscription, accounts, arm)
    elif holder := find_compute_role_holder(preflight):
        yield from preflight_checks.check_blob_roles(holder, spec.subscription, accounts, arm)


def check_model_roles(preflight: PreflightContext, document: JobDocument) -> Iterator[Problem]:
    """Check that the job may register models, if it should. Raises ArmError."""
    if document.parameters.get(REGISTER_PARAMETER) and (holder := find_role_holder(preflight)):
        yield from preflight_checks.check_model_roles(holder, preflight.spec.target_workspace, preflight.arm)


def find_role_holder(preflight: PreflightContext) -> RoleHolder | None:
    """Return the identity that the job signs in with; None if it is not known. Raises ArmError."""
    spec = preflight.spec
    if not spec.identity:
        return find_compute_role_holder(preflight)
    principal = roles.find_principal(preflight.arm, spec.subscription, spec.identity)
    return RoleHolder(principal, preflight_checks.IDENTITY_FLAG, spec.identity) if principal else None


def find_compute_role_holder(preflight: PreflightContext) -> RoleHolder | None:
    """Return the default identity of jobs: the compute's own, or its only user-assigned one."""
    if not preflight.spec.compute:
        return None
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
        yield preflight_checks.make_role_problem(holder, action, roles.SECRETS_USER_ROLE, vault)
