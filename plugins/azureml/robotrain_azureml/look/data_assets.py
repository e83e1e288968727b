"""A look into the data assets that the job reads: a folder that is no dataset is dear to find out on a GPU."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from robotrain.pin import described as described_by
from robotrain.problem import Instead, Problem
from robotrain.source import SourceError
from robotrain_azure.arm import ArmError
from robotrain_runtime.document import JobDocument

from robotrain_azureml.capabilities import CAPABILITIES
from robotrain_azureml.kinds import datastore_path
from robotrain_azureml.look import store_there
from robotrain_azureml.look.finding import az, problem
from robotrain_azureml.look.looking import Looking
from robotrain_azureml.order import Asset
from robotrain_azureml.service import datastore
from robotrain_azureml.service.datastore import Datastore, StorageError

ROLE = "dataset"
_BLOB = r"https://([a-z0-9]{3,24})\.(?:blob|dfs)\.([a-z.]+)/([a-z0-9$-]{1,63})/([^?#]*[^?#/])/?"


def described(told: JobDocument) -> Sequence[str]:
    """The few files that a dataset of this job's workload is told by; none where it says nothing of them."""
    return tuple(described_by(CAPABILITIES, told.halves).get(ROLE, ()))


def problems(
    looking: Looking, asset: Asset, properties: Mapping[str, Any], described: Sequence[str]
) -> Iterator[Problem]:
    """A data asset in which none of the files is that describe a dataset; nothing where it cannot be seen from here,
    as the job looks again. properties: of its version, as Azure tells them.
    """
    if asset.kind != "data" or not described:
        return
    try:
        found = place(looking, str(properties.get("dataUri") or ""))
        if found is None:
            return
        store, folder = found
        with datastore.opened(looking.arm, store, retries=0) as blobs:
            if any(blobs.has(f"{folder}/{path}") for path in described):
                return
    except (ArmError, StorageError):
        return
    yield _undescribed(looking, asset, described)


def place(looking: Looking, address: str) -> tuple[Datastore, str] | None:
    """Where an asset's content lies, and the folder there; None for a form that is not read. Raises ArmError, and
    StorageError.
    """
    if blob := re.fullmatch(_BLOB, address):
        account, suffix, container, folder = blob.groups()
        return Datastore(looking.order.at, "", account, container, suffix, keyed=False), unquote(folder)
    try:
        path = datastore_path.parse(address)
    except SourceError:
        return None
    return store_there.named(looking, path.at or looking.order.at, path.datastore), path.path


def _undescribed(looking: Looking, asset: Asset, described: Sequence[str]) -> Problem:
    name = f"{asset.name}:{asset.version}"
    title = f"the data asset {name} is no dataset that can be used: it has no {' and no '.join(described)}"
    why = "The job would end there: name a data asset whose folder holds it."
    way = az(looking.order, f"data show --name {asset.name} --version {asset.version}")
    return problem("source-undescribed", title, asset.flag, f"azureml:{name}", why, Instead(way, "says where it lies"))
