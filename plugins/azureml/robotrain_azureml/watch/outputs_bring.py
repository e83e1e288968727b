"""What a job left, brought to this machine: whole to the byte, or not at all."""

from pathlib import Path

from robotrain.problem import Instead
from robotrain.run import Output, Reference
from robotrain_azure import blobs_brought, brought
from robotrain_azure.arm import ArmError

from robotrain_azureml.kinds import datastore_path
from robotrain_azureml.kinds.datastore_path import DatastorePath
from robotrain_azureml.service import datastore, datastore_folder, jobs, refusals
from robotrain_azureml.service.datastore import StorageError
from robotrain_azureml.watch import outputs_kept
from robotrain_azureml.watch.outputs_kept import ARTIFACTS


def bring(reference: Reference, output: Output, to: Path) -> None:
    """Copy it to the new folder `to`, which is whole as soon as it is there. Raises Rejected."""

    def fetch(scratch: Path) -> None:
        if _is_published(reference, output):
            blobs_brought.bring(output.source, output.uri, scratch)
        else:
            _of_datastore(reference, output, scratch)
        _judge(reference, output, scratch)

    brought.whole(output, to, fetch)


def _is_published(reference: Reference, output: Output) -> bool:
    """Whether it lies where the job copied it to, and not in a datastore."""
    place = reference.get("publishes", "").rstrip("/")
    return bool(place) and output.uri.startswith(f"{place}/")


def _of_datastore(reference: Reference, output: Output, to: Path) -> None:
    """As the workspace lets one in: with the secret that it keeps, else with this machine's own sign-in."""
    if output.source == DatastorePath.kind:
        place = datastore_path.parse(output.uri)
        store, folder = outputs_kept.named(reference, place.datastore), place.path
    else:
        store = outputs_kept.named(reference, ARTIFACTS)
        folder = output.uri.removeprefix(f"{store.url}/")
    try:
        with datastore.opened(jobs.signed_in(), store) as blobs:
            datastore_folder.bring(blobs, blobs.below(folder), folder, to)
    except (ArmError, StorageError) as error:
        raise refusals.of(error, jobs.workspace_of(reference), f"bring {output.name}") from None


def _judge(reference: Reference, output: Output, folder: Path) -> None:
    """Raise Rejected when what came is nothing, or not what was saved."""
    run = reference.get("run", "")
    brought.something(output, folder, Instead(f"robotrain outputs {run}".rstrip(), "shows what lies there now"))
    if output.kind == "checkpoint" or output.name == outputs_kept.name(reference):
        brought.as_saved(output, folder, reference.get("job", ""), run, complete=True)
