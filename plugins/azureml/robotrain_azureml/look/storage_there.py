"""A look at the storage: the datastore, the account below it, and who may read and write there."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from robotrain.problem import SENTENCE, Instead, Problem
from robotrain.redaction import redact
from robotrain_azure import at_once, caller, roles
from robotrain_azure.arm import ArmError
from robotrain_azure.refusal import role_line
from robotrain_runtime.document import JobDocument

from robotrain_azureml.look import job_identity, mounted, names, refused, store_there
from robotrain_azureml.look.answers import answers
from robotrain_azureml.look.finding import az, problem
from robotrain_azureml.look.looking import VERSION, Looking
from robotrain_azureml.service.datastore import Datastore, StorageError

BY_KEY = ("", "accesskey")
KNOWN = (*BY_KEY, "identity", "userdelegationsas")
"""How a workspace signs in to its own datastores: what an identity signs for a while needs no key either."""
_ACCOUNT = r"https?://([a-z0-9]+)\.(?:blob|dfs)\..*"


def problems(looking: Looking, told: JobDocument) -> Iterator[Problem]:
    """What keeps code, folders, outputs and published checkpoints from getting there. Raises ArmError."""
    order = looking.order
    try:
        store = store_there.store(looking)
    except StorageError as error:
        yield problem("azureml-datastore-kind", str(error), "--datastore", order.datastore, "", _list(looking))
        return
    except ArmError as error:
        if error.status != 404:
            raise
        there = names.below(looking.arm, f"{order.at.resource}/datastores", VERSION)
        ways = names.others("--datastore {}", order.datastore, there, az(order, "datastore list"))
        title = f"the workspace has no datastore {order.datastore}"
        yield problem("azureml-datastore-missing", title, "--datastore", order.datastore, "", *ways)
        return
    yield from at_once.found(
        [
            partial(_accounts, looking, store),
            partial(_caller, looking, store),
            partial(_job, looking, told, store),
            partial(_from_here, looking, store),
        ]
    )


def _job(looking: Looking, told: JobDocument, store: Datastore) -> Iterator[Problem]:
    yield from job_identity.on_storage(looking, _reached(looking, told, store))


def _reached(looking: Looking, told: JobDocument, store: Datastore) -> dict[str, bool]:
    """The storage accounts that the job reaches with its identity, and whether it writes there."""
    blobs = (account(source.uri) for source in told.sources if source.kind == "blob_url")
    read = [*blobs, *mounted.accounts(looking, told)]
    written = [account(looking.order.publishes), "" if store.keyed else store.account]
    return {**{name: False for name in read if name}, **{name: True for name in written if name}}


def account(url: str) -> str:
    """The storage account of a blob's address; empty for none."""
    found = re.fullmatch(_ACCOUNT, url)
    return found[1] if found else ""


def _accounts(looking: Looking, store: Datastore) -> Iterator[Problem]:
    """That of the datastore, and that of the workspace, which the job's code goes to. Raises ArmError."""
    own = looking.told("storageAccount")
    if own:
        keyed = _mode(looking) in BY_KEY or (store.keyed and _name(own) == store.account)
        yield from refused.if_told(f"the storage account {_name(own)}", _account(looking, own, keyed))
    if store.account != _name(own) and (other := _resource(looking, store.account)):
        yield from refused.if_told(f"the storage account {store.account}", _account(looking, other, store.keyed))


def _account(looking: Looking, resource: str, keyed: bool) -> Iterator[Problem]:
    """resource: its id. keyed: whether a key of it, or what a key signed, is used there."""
    found: Mapping[str, Any] = looking.arm.get(resource, roles.ACCOUNTS).get("properties") or {}
    if keyed and found.get("allowSharedKeyAccess") is False:
        yield _keys_refused(looking, resource)
    elif found.get("allowSharedKeyAccess") is False and _mode(looking) not in KNOWN and _is_own(looking, resource):
        yield _unknown_mode(looking, resource)
    closed = str((found.get("networkAcls") or {}).get("defaultAction") or "") == "Deny"
    if closed or str(found.get("publicNetworkAccess") or "") == "Disabled":
        title = f"the storage account {_name(resource)} answers only some networks"
        why = "The job's code is uploaded from this machine: from another network Azure refuses that."
        yield problem("azureml-storage-closed", title, "--datastore", looking.order.datastore, why, severity="warning")


def _keys_refused(looking: Looking, resource: str) -> Problem:
    order, name = looking.order, _name(resource)
    mode = f"workspace update --name {order.workspace} --system-datastores-auth-mode identity"
    at = f"--resource-group {order.group} --subscription {order.subscription}"
    give = role_line(caller.object_id(), roles.CONTRIBUTOR, resource)
    job_s = role_line(job_identity.assignee(looking), roles.CONTRIBUTOR, resource)
    return problem(
        "azureml-keys-refused",
        f"the storage account {name} takes no keys, and the workspace {order.workspace} signs in there with one",
        "--datastore",
        order.datastore,
        "Uploads and outputs end there with KeyBasedAuthenticationNotPermitted.",
        Instead(f"az ml {mode} {at}", "it signs in with identities then"),
        Instead(give, "for whoever submits"),
        Instead(job_s, "for the identity of the compute"),
    )


def _unknown_mode(looking: Looking, resource: str) -> Problem:
    """Of a workspace newer than this."""
    mode = redact(looking.told("systemDatastoresAuthMode"), longest=SENTENCE)
    title = f"the storage account {_name(resource)} takes no keys, and the workspace signs in there by {mode}"
    why = "Whether that needs a key is not known here."
    return problem(refused.UNCHECKED, title, "--datastore", looking.order.datastore, why, severity="note")


def _mode(looking: Looking) -> str:
    """How the workspace signs in to its own datastores, in small letters; empty where it was not told."""
    return looking.told("systemDatastoresAuthMode").lower()


def _is_own(looking: Looking, resource: str) -> bool:
    return resource == looking.told("storageAccount")


def _from_here(looking: Looking, store: Datastore) -> Iterator[Problem]:
    """Code and folders are uploaded from this machine: whether who takes them answers it."""
    own = _name(looking.told("storageAccount"))
    for account in dict.fromkeys([own, *([store.account] if looking.order.uploads else [])]):
        host = f"{account}.blob.{store.suffix}"
        if not account or answers(f"https://{host}/?comp=list"):
            continue
        title = f"the storage account {account} does not answer from here"
        what = "The job's code is" if account == own else "Folders are"
        why = f"{what} uploaded there from this machine, to {host}: a network or a proxy may be in the way."
        yield problem("azureml-storage-silent", title, "", host, why, severity="warning")


def _caller(looking: Looking, store: Datastore) -> Iterator[Problem]:
    """Who is signed in uploads folders as themselves where the workspace keeps no secret. Raises ArmError."""
    if looking.order.uploads and not store.keyed:
        yield from refused.if_told(f"your roles on the storage account {store.account}", _lacking(looking, store))


def _lacking(looking: Looking, store: Datastore) -> Iterator[Problem]:
    resource, who = _resource(looking, store.account), caller.object_id()
    if not resource or who == caller.UNKNOWN or not roles.lacks(looking.arm, resource, who, writes=True):
        return
    flag = looking.order.uploads[0].flag
    title = f"who is signed in may not write blobs of the account {store.account}, where folders are uploaded to"
    way = Instead(role_line(who, roles.CONTRIBUTOR, resource), "takes effect after some minutes")
    why = f"The datastore {store.name} keeps no secret. None of their roles allows it; {roles.CONTRIBUTOR} would."
    yield problem("azure-role-missing", title, flag, store.url, why, way, severity="warning")


def _resource(looking: Looking, name: str) -> str:
    """The id of a storage account; empty where the subscription shows none of that name. Raises ArmError."""
    own = looking.told("storageAccount")
    if _name(own) == name:
        return own
    return roles.accounts(looking.arm, looking.order.subscription).get(name, "")


def _list(looking: Looking) -> Instead:
    return Instead(az(looking.order, "datastore list"), "shows the others")


def _name(resource: str) -> str:
    return resource.rpartition("/")[2]
