"""What lies in the declared output of a job: checkpoints or results that are its own, and whether they are whole, as
seals say.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain import store
from robotrain.run import Reference
from robotrain_azure import brought
from robotrain_azure.arm import ArmError
from robotrain_runtime import checkpoint
from robotrain_runtime.checkpoint import MANIFEST, Manifest

from robotrain_azureml.kinds.datastore_path import DatastorePath
from robotrain_azureml.service import datastore, jobs, refusals
from robotrain_azureml.service.datastore import Blob, Blobs, Datastore, StorageError

ARTIFACTS = "workspaceartifactstore"
"""The datastore of every workspace in which the artifacts of its jobs lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """folder: its name in the output; empty for results, which are all of it. uri: its address in the datastore.

    size: in bytes, of what is there. lacking: the files of its seal that are not.
    """

    folder: str
    uri: str
    made: Manifest
    size: int
    lacking: tuple[str, ...] = ()


def place(reference: Reference) -> Datastore:
    """The datastore of the output. Raises Refused."""
    return named(reference, reference.get("datastore", ""))


def named(reference: Reference, name: str) -> Datastore:
    """A datastore of the workspace. Raises Refused."""
    at = jobs.workspace_of(reference)
    try:
        return datastore.named(jobs.signed_in(), at, name)
    except (ArmError, StorageError) as error:
        raise refusals.of(error, at, f"look at the datastore {name} of the workspace") from None


def holds_results(reference: Reference) -> bool:
    """Whether the output is one result as a whole, and no folder of checkpoints."""
    return bool(store.outputs_of(reference.get("run", "")).complete_file)


def name(reference: Reference) -> str:
    """What the output is called, as the job declares it."""
    return reference.get("output", "").strip("/").rpartition("/")[2]


def kept(reference: Reference, store: Datastore) -> list[Kept]:
    """Checkpoints that are whole, by their steps. Raises Refused when they cannot be listed."""
    return [one for one in sealed(reference, store) if one.folder and not one.lacking]


def sealed(reference: Reference, store: Datastore) -> list[Kept]:
    """Checkpoints, by their steps, or the results; also what lacks a part. Raises Refused when it is not listed."""
    output, in_folders = reference.get("output", "").strip("/"), not holds_results(reference)
    try:
        with datastore.opened(jobs.signed_in(), store) as blobs:
            found = {blob.name[len(output) + 1 :]: blob for blob in blobs.below(output)}
            there = [one for one in _of_seals(reference, blobs, found) if bool(one.folder) == in_folders]
    except (ArmError, StorageError) as error:
        at = jobs.workspace_of(reference)
        raise refusals.of(error, at, f"list the output of {reference['job']}") from None
    return sorted(there, key=lambda one: one.made.step)


def artifact(reference: Reference, name: str) -> str:
    """Where an artifact of the job lies in the container of the artifacts."""
    return f"ExperimentRun/dcid.{reference['job']}/{name}"


def is_anothers(reference: Reference, made: Manifest) -> bool:
    """Whether a checkpoint says that it is not of this run, in this very submission."""
    return brought.is_anothers(made, reference.get("job", ""), reference.get("run", ""))


def _of_seals(reference: Reference, blobs: Blobs, found: Mapping[str, Blob]) -> Iterator[Kept]:
    for name in found:
        folder, _, last = name.rpartition("/")
        if last != MANIFEST or not re.fullmatch(r"\d*", folder):
            continue
        made = _manifest(blobs.read(found[name].name))
        if made is None or is_anothers(reference, made):
            continue
        files = {file: found.get(f"{folder}/{file}" if folder else file) for file in made.files}
        size = sum(one.size for one in files.values() if one)
        path = f"{reference['output'].strip('/')}/{folder}".rstrip("/")
        uri = str(DatastorePath(reference.get("datastore", ""), path, jobs.workspace_of(reference)))
        lacking = tuple(file for file, there in files.items() if there is None)
        yield Kept(folder=folder, uri=uri, made=made, size=size, lacking=lacking)


def _manifest(content: bytes) -> Manifest | None:
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        Path(folder, MANIFEST).write_bytes(content)
        return checkpoint.read(Path(folder))
