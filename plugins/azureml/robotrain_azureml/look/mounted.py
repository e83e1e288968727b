"""The storage accounts below what Azure ML brings to the job: data assets, models, folders of datastores."""

from collections.abc import Iterator

from robotrain_azure.arm import ArmError
from robotrain_runtime.document import JobDocument

from robotrain_azureml.kinds.datastore_path import DatastorePath
from robotrain_azureml.look import assets_there, data_assets
from robotrain_azureml.look.looking import Looking
from robotrain_azureml.order import Asset
from robotrain_azureml.service.datastore import StorageError

ADDRESS = {"data": "dataUri", "models": "modelUri"}


def accounts(looking: Looking, told: JobDocument) -> Iterator[str]:
    """Of each that is read as the job's identity: not by a secret that a workspace keeps, and where that is known."""
    for one in looking.order.assets:
        yield from _read(looking, one)
    for source in told.sources:
        if source.kind == DatastorePath.kind:
            yield from _read(looking, source.uri)


def _read(looking: Looking, what: Asset | str) -> Iterator[str]:
    try:
        address = what if isinstance(what, str) else _address(looking, what)
        found = data_assets.place(looking, address)
    except (ArmError, StorageError):  # the look at it says so
        return
    if found and not found[0].keyed:
        yield found[0].account


def _address(looking: Looking, asset: Asset) -> str:
    """Empty where it is not told."""
    at = assets_there.workspace(looking, asset)
    told = assets_there.properties(looking, asset, at) if at else {}
    return str(told.get(ADDRESS[asset.kind]) or "")
