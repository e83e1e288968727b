"""Datastore, storage accounts and key vaults of a job: whether they answer and let it in.

Asked through the library that uploads as well: its proxies and its certificates are those that count.
"""

import functools
import importlib
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from robotrain.errors import MAX_SENTENCE, Problem, Suggestion
from robotrain.redaction import redact
from robotrain_azure import credential, preflight_checks, roles
from robotrain_azure.arm import ArmError
from robotrain_azure.errors import make_role_command
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.preflight import assets, context
from robotrain_azureml.preflight import roles as preflight_roles
from robotrain_azureml.preflight.context import API_VERSION, PreflightContext, make_az_command, make_preflight_problem
from robotrain_azureml.service.datastore import Datastore, StorageError
from robotrain_azureml.spec.submission_spec import KeyVaultSecret

KEY_MODES = ("", "accesskey")
KNOWN_MODES = (*KEY_MODES, "identity", "userdelegationsas")
"""How a workspace signs in to its own datastores: what an identity signs for a while needs no key either."""
_BLOB_ADDRESS = r"https?://([a-z0-9]+)\.(?:blob|dfs)\..*"


def check_storage(preflight: PreflightContext, document: JobDocument) -> Iterator[Problem]:
    """What keeps code, folders, outputs and published checkpoints from getting there. Raises ArmError."""
    order = preflight.spec
    try:
        store = context.get_job_datastore(preflight)
    except StorageError as error:
        yield make_preflight_problem(
            "azureml-datastore-kind", str(error), "--datastore", order.datastore, "", _suggest_list(preflight)
        )
        return
    except ArmError as error:
        if error.status != 404:
            raise
        there = context.list_names(preflight.arm, f"{order.target_workspace.resource}/datastores", API_VERSION)
        ways = context.suggest_names("--datastore {}", order.datastore, there, make_az_command(order, "datastore list"))
        title = f"the workspace has no datastore {order.datastore}"
        yield make_preflight_problem("azureml-datastore-missing", title, "--datastore", order.datastore, "", *ways)
        return
    yield from preflight_checks.run_checks(
        [
            partial(_check_accounts, preflight, store),
            partial(_check_caller_role, preflight, store),
            partial(_check_job_roles, preflight, document, store),
            partial(_check_reachability, preflight, store),
        ]
    )


def _check_job_roles(preflight: PreflightContext, document: JobDocument, datastore: Datastore) -> Iterator[Problem]:
    yield from preflight_roles.check_storage_roles(preflight, _list_accessed_accounts(preflight, document, datastore))


def _list_accessed_accounts(
    preflight: PreflightContext, document: JobDocument, datastore: Datastore
) -> dict[str, bool]:
    """The storage accounts that the job reaches with its identity, and whether it writes there."""
    blobs = (get_account_name(source.uri) for source in document.sources if source.kind == "blob_url")
    read = [*blobs, *assets.list_mounted_accounts(preflight, document)]
    written = [get_account_name(preflight.spec.publishes), "" if datastore.keyed else datastore.account]
    return {**{name: False for name in read if name}, **{name: True for name in written if name}}


def get_account_name(url: str) -> str:
    """The storage account of a blob's address; empty for none."""
    found = re.fullmatch(_BLOB_ADDRESS, url)
    return found[1] if found else ""


def _check_accounts(preflight: PreflightContext, datastore: Datastore) -> Iterator[Problem]:
    """That of the datastore, and that of the workspace, which the job's code goes to. Raises ArmError."""
    own = preflight.get_property("storageAccount")
    if own:
        keyed = _get_auth_mode(preflight) in KEY_MODES or (
            datastore.keyed and _get_resource_name(own) == datastore.account
        )
        yield from context.soften_denial(
            f"the storage account {_get_resource_name(own)}", _check_account(preflight, own, keyed)
        )
    if datastore.account != _get_resource_name(own) and (other := _find_account_id(preflight, datastore.account)):
        yield from context.soften_denial(
            f"the storage account {datastore.account}", _check_account(preflight, other, datastore.keyed)
        )


def _check_account(preflight: PreflightContext, resource: str, keyed: bool) -> Iterator[Problem]:
    """resource: its id. keyed: whether a key of it, or what a key signed, is used there."""
    found: Mapping[str, Any] = preflight.arm.get(resource, roles.ACCOUNTS_API_VERSION).get("properties") or {}
    if keyed and found.get("allowSharedKeyAccess") is False:
        yield _make_keys_problem(preflight, resource)
    elif (
        found.get("allowSharedKeyAccess") is False
        and _get_auth_mode(preflight) not in KNOWN_MODES
        and _is_workspace_account(preflight, resource)
    ):
        yield _make_mode_problem(preflight, resource)
    closed = str((found.get("networkAcls") or {}).get("defaultAction") or "") == "Deny"
    if closed or str(found.get("publicNetworkAccess") or "") == "Disabled":
        title = f"the storage account {_get_resource_name(resource)} answers only some networks"
        why = "The job's code is uploaded from this machine: from another network Azure refuses that."
        yield make_preflight_problem(
            "azureml-storage-closed", title, "--datastore", preflight.spec.datastore, why, severity="warning"
        )


def _make_keys_problem(preflight: PreflightContext, resource: str) -> Problem:
    order, name = preflight.spec, _get_resource_name(resource)
    mode = f"workspace update --name {order.workspace} --system-datastores-auth-mode identity"
    at = f"--resource-group {order.group} --subscription {order.subscription}"
    give = make_role_command(credential.get_caller_object_id(), roles.BLOB_CONTRIBUTOR_ROLE, resource)
    job_s = make_role_command(preflight_roles.find_assignee(preflight), roles.BLOB_CONTRIBUTOR_ROLE, resource)
    return make_preflight_problem(
        "azureml-keys-refused",
        f"the storage account {name} takes no keys, and the workspace {order.workspace} signs in there with one",
        "--datastore",
        order.datastore,
        "Uploads and outputs end there with KeyBasedAuthenticationNotPermitted.",
        Suggestion(f"az ml {mode} {at}", "it signs in with identities then"),
        Suggestion(give, "for whoever submits"),
        Suggestion(job_s, "for the identity of the compute"),
    )


def _make_mode_problem(preflight: PreflightContext, resource: str) -> Problem:
    """Of a workspace newer than this."""
    mode = redact(preflight.get_property("systemDatastoresAuthMode"), max_length=MAX_SENTENCE)
    title = (
        f"the storage account {_get_resource_name(resource)} takes no keys, and the workspace signs in there by {mode}"
    )
    why = "Whether that needs a key is not known here."
    return make_preflight_problem(
        context.UNCHECKED_CODE, title, "--datastore", preflight.spec.datastore, why, severity="note"
    )


def _get_auth_mode(preflight: PreflightContext) -> str:
    """How the workspace signs in to its own datastores, in small letters; empty where it was not told."""
    return preflight.get_property("systemDatastoresAuthMode").lower()


def _is_workspace_account(preflight: PreflightContext, resource: str) -> bool:
    return resource == preflight.get_property("storageAccount")


def _check_reachability(preflight: PreflightContext, datastore: Datastore) -> Iterator[Problem]:
    """Code and folders are uploaded from this machine: whether who takes them answers it."""
    own = _get_resource_name(preflight.get_property("storageAccount"))
    for account in dict.fromkeys([own, *([datastore.account] if preflight.spec.uploads else [])]):
        host = f"{account}.blob.{datastore.suffix}"
        if not account or is_reachable(f"https://{host}/?comp=list"):
            continue
        title = f"the storage account {account} does not answer from here"
        what = "The job's code is" if account == own else "Folders are"
        why = f"{what} uploaded there from this machine, to {host}: a network or a proxy may be in the way."
        yield make_preflight_problem("azureml-storage-silent", title, "", host, why, severity="warning")


def _check_caller_role(preflight: PreflightContext, datastore: Datastore) -> Iterator[Problem]:
    """Who is signed in uploads folders as themselves where the workspace keeps no secret. Raises ArmError."""
    if preflight.spec.uploads and not datastore.keyed:
        yield from context.soften_denial(
            f"your roles on the storage account {datastore.account}", _check_write_role(preflight, datastore)
        )


def _check_write_role(preflight: PreflightContext, datastore: Datastore) -> Iterator[Problem]:
    resource, who = _find_account_id(preflight, datastore.account), credential.get_caller_object_id()
    if (
        not resource
        or who == credential.UNKNOWN_OBJECT_ID
        or not roles.is_missing_blob_role(preflight.arm, resource, who, writes=True)
    ):
        return
    flag = preflight.spec.uploads[0].flag
    title = f"who is signed in may not write blobs of the account {datastore.account}, where folders are uploaded to"
    way = Suggestion(make_role_command(who, roles.BLOB_CONTRIBUTOR_ROLE, resource), "takes effect after some minutes")
    why = f"The datastore {datastore.name} keeps no secret. None of their roles allows it; {roles.BLOB_CONTRIBUTOR_ROLE} would."
    yield make_preflight_problem("azure-role-missing", title, flag, datastore.url, why, way, severity="warning")


def _find_account_id(preflight: PreflightContext, name: str) -> str:
    """The id of a storage account; empty where the subscription shows none of that name. Raises ArmError."""
    own = preflight.get_property("storageAccount")
    if _get_resource_name(own) == name:
        return own
    return roles.list_storage_accounts(preflight.arm, preflight.spec.subscription).get(name, "")


def _suggest_list(preflight: PreflightContext) -> Suggestion:
    return Suggestion(make_az_command(preflight.spec, "datastore list"), "shows the others")


def _get_resource_name(resource: str) -> str:
    return resource.rpartition("/")[2]


REACHABILITY_SECONDS = 3.0


def is_reachable(url: str) -> bool:
    """Whether there is an answer within seconds; a refusal is one."""
    request = importlib.import_module("azure.core.rest").HttpRequest("GET", url)
    try:
        answer = _get_pipeline().send_request(
            request, stream=True, connection_timeout=REACHABILITY_SECONDS, read_timeout=REACHABILITY_SECONDS
        )
    except Exception:  # of whichever library below
        return False
    answer.close()
    return True


@functools.cache
def _get_pipeline() -> Any:
    """One for this process. It signs nothing."""
    policies: Any = importlib.import_module("azure.core.pipeline.policies")
    made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy()]
    return importlib.import_module("azure.core").PipelineClient("https://blob", policies=made)


def check_vault_reachability(secret: KeyVaultSecret) -> Iterator[Problem]:
    """A vault without an answer: it may answer the job all the same, from its own network."""
    place = urlsplit(secret.uri)
    if place.scheme != "https":
        return
    if not is_reachable(f"https://{place.netloc}/secrets?api-version=7.4"):
        vault = (place.hostname or "").partition(".")[0]
        yield make_preflight_problem(
            "azureml-vault-silent",
            f"the key vault {vault}, which holds {secret.what}, does not answer from here",
            secret.flag,
            secret.uri,
            "The name may be misspelt, or the vault lets in only its own network.",
            Suggestion(f"az keyvault show --name {vault}", "says whether it is there"),
            severity="warning",
        )
