"""Outputs of a job: checkpoints, results and models, listed and downloaded."""

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Output, Reference
from robotrain.store import records
from robotrain_azure import outputs
from robotrain_azure import outputs as shared
from robotrain_azure.arm import ArmError
from robotrain_azure.outputs import RunLog
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest

from robotrain_azureml import errors
from robotrain_azureml.errors import RequestRejected
from robotrain_azureml.kinds import datastore_path
from robotrain_azureml.kinds.datastore_path import DatastorePath
from robotrain_azureml.observe import job_state, logs
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import datastore, folder_transfer, jobs
from robotrain_azureml.service.datastore import Datastore, DatastoreBlob, DatastoreBlobs, StorageError


def read_run_log(reference: Reference) -> RunLog:
    """All that it says by now."""
    return shared.parse_run_log(_read_lines(reference))


def _read_lines(reference: Reference) -> Iterator[str]:
    try:
        yield from logs.read_logs(reference, follow=False)
    except Rejected:
        return


ARTIFACT_DATASTORE = "workspaceartifactstore"
"""The datastore of every workspace in which the artifacts of its jobs lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedOutput:
    """folder: its name in the output; empty for results, which are all of it. uri: its address in the datastore.

    size: in bytes, of what is there. lacking: the files of its seal that are not.
    """

    folder: str
    uri: str
    manifest: CheckpointManifest
    size: int
    missing_files: tuple[str, ...] = ()


def get_output_datastore(reference: Reference) -> Datastore:
    """The datastore of the output. Raises Refused."""
    return get_datastore(reference, reference.get("datastore", ""))


def get_datastore(reference: Reference, name: str) -> Datastore:
    """A datastore of the workspace. Raises Refused."""
    at = jobs.get_run_workspace(reference)
    try:
        return datastore.get_datastore(jobs.get_client(), at, name)
    except (ArmError, StorageError) as error:
        raise errors.make_rejection(error, at, f"look at the datastore {name} of the workspace") from None


def has_results(reference: Reference) -> bool:
    """Whether the output is one result as a whole, and no folder of checkpoints."""
    return bool(records.get_output_profile(reference.get("run", "")).complete_file)


def get_results_name(reference: Reference) -> str:
    """What the output is called, as the job declares it."""
    return reference.get("output", "").strip("/").rpartition("/")[2]


def list_complete_checkpoints(reference: Reference, datastore: Datastore) -> list[SealedOutput]:
    """Checkpoints that are whole, by their steps. Raises Refused when they cannot be listed."""
    return [one for one in list_sealed_outputs(reference, datastore) if one.folder and not one.missing_files]


def list_sealed_outputs(reference: Reference, store: Datastore) -> list[SealedOutput]:
    """Checkpoints, by their steps, or the results; also what lacks a part. Raises Refused when it is not listed."""
    output, in_folders = reference.get("output", "").strip("/"), not has_results(reference)
    try:
        with datastore.open_datastore(jobs.get_client(), store) as blobs:
            found = {blob.name[len(output) + 1 :]: blob for blob in blobs.list_blobs(output)}
            there = [one for one in _read_seals(reference, blobs, found) if bool(one.folder) == in_folders]
    except (ArmError, StorageError) as error:
        at = jobs.get_run_workspace(reference)
        raise errors.make_rejection(error, at, f"list the output of {reference['job']}") from None
    return sorted(there, key=lambda one: one.manifest.step)


def make_artifact_path(reference: Reference, name: str) -> str:
    """Where an artifact of the job lies in the container of the artifacts."""
    return f"ExperimentRun/dcid.{reference['job']}/{name}"


def is_foreign_checkpoint(reference: Reference, manifest: CheckpointManifest) -> bool:
    """Whether a checkpoint says that it is not of this run, in this very submission."""
    return outputs.is_foreign_checkpoint(manifest, reference.get("job", ""), reference.get("run", ""))


def _read_seals(
    reference: Reference, blobs: DatastoreBlobs, listed: Mapping[str, DatastoreBlob]
) -> Iterator[SealedOutput]:
    for name in listed:
        folder, _, last = name.rpartition("/")
        if last != MANIFEST or not re.fullmatch(r"\d*", folder):
            continue
        made = _parse_manifest(blobs.read_blob(listed[name].name))
        if made is None or is_foreign_checkpoint(reference, made):
            continue
        files = {file: listed.get(f"{folder}/{file}" if folder else file) for file in made.files}
        size = sum(one.size for one in files.values() if one)
        path = f"{reference['output'].strip('/')}/{folder}".rstrip("/")
        uri = str(DatastorePath(reference.get("datastore", ""), path, jobs.get_run_workspace(reference)))
        lacking = tuple(file for file, there in files.items() if there is None)
        yield SealedOutput(folder=folder, uri=uri, manifest=made, size=size, missing_files=lacking)


def _parse_manifest(content: bytes) -> CheckpointManifest | None:
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        Path(folder, MANIFEST).write_bytes(content)
        return checkpoint.read_manifest(Path(folder))


MAX_FILES = 3


def make_no_outputs_problem(reference: Reference, job: AzureMLJob, incomplete: Mapping[str, SealedOutput]) -> Problem:
    """Of a job that told of checkpoints or results. torn: those that lie there and are not whole, by their names."""
    if not job.is_finished:
        return _make_not_yet_problem(reference, job)
    return _make_incomplete_problem(reference, incomplete) if incomplete else _make_unpublished_problem(reference)


def format_missing_files(sealed_output: SealedOutput) -> str:
    """What one is not whole by."""
    named = ", ".join(sealed_output.missing_files[:MAX_FILES])
    more = (
        f" and {len(sealed_output.missing_files) - MAX_FILES} more"
        if len(sealed_output.missing_files) > MAX_FILES
        else ""
    )
    return f"lacks {named}{more}"


def _make_not_yet_problem(reference: Reference, job: AzureMLJob) -> Problem:
    run = reference.get("run") or reference["job"]
    made = "results" if has_results(reference) else "saved checkpoints"
    upload = (
        "The output of this job is uploaded when it ends." if job.output_mode == "Upload" else "The copy is under way."
    )
    return Problem(
        code="outputs-not-yet",
        stage=Stage.SUBMIT,
        title=f"{run} has {made}, and none has reached its output yet",
        why=upload,
        suggestions=(Suggestion(f"robotrain wait {run}", "they are there when it has ended"), _suggest_mount(run)),
    )


def _make_unpublished_problem(reference: Reference) -> Problem:
    run = reference.get("run") or reference["job"]
    made = "results" if has_results(reference) else "checkpoints"
    store, place = reference.get("datastore", ""), reference.get("output", "")
    return Problem(
        code="outputs-unpublished",
        stage=Stage.SUBMIT,
        title=f"the {made} of {run} did not reach its output: they ended with the machine they lay on",
        why=f"In the datastore {store} there is nothing whole at {place}.",
        suggestions=(Suggestion(f"robotrain status {run}", "why it ended so"), _suggest_mount(run)),
    )


def _make_incomplete_problem(reference: Reference, incomplete: Mapping[str, SealedOutput]) -> Problem:
    run = reference.get("run") or reference["job"]
    told = "; ".join(f"{name} {format_missing_files(one)}" for name, one in incomplete.items())
    return Problem(
        code="outputs-torn",
        stage=Stage.SUBMIT,
        title=f"nothing that {run} left in its output is whole",
        why=f"In the datastore {reference.get('datastore', '')}, at {reference.get('output', '')}: {told}.",
        suggestions=(Suggestion(f"robotrain status {run}", "why it ended so"), _suggest_mount(run)),
    )


def _suggest_mount(run: str) -> Suggestion:
    again = f"robotrain resubmit {run} --set output_mode=rw_mount"
    return Suggestion(again, "the same once more, each one kept as it is made")


BLOB_KIND = "blob_url"
"""The source kind that reads what was published, and models."""
MODELS_FOLDER = "models"
"""The folder of their names; beside it lie the checkpoints, which a training can go on from."""


def list_outputs(reference: Reference) -> list[Output]:
    """The checkpoints, oldest first, or the results, then models. Raises RunGone, and Rejected: also when it made some
    that are not there.
    """
    told, _ = job_state.query_job(reference)
    if told.state == "pending" and not told.logs:
        return []
    said = read_run_log(reference)
    found = {one.name: one for one in _list_published(said)}
    sealed = _list_sealed(reference, published=bool(found))
    found |= {name: _make_output(name, one) for name, one in sealed.items() if not one.missing_files}
    torn = {name: one for name, one in sealed.items() if name not in found}
    models = list(_list_models(reference, said))
    if not found and not models and (said.progress.checkpoint or said.evaluation or torn):
        raise Rejected([make_no_outputs_problem(reference, told, torn)])
    if told.is_finished:
        _warn_of_incomplete(torn)
    return [*sorted(found.values(), key=lambda one: one.step or 0), *models]


def _list_published(run_log: RunLog) -> Iterator[Output]:
    for one in run_log.published_checkpoints:
        model = run_log.models.get(one.step, "")
        yield Output(
            name=_make_checkpoint_name(one.step),
            kind="checkpoint",
            source=BLOB_KIND,
            uri=one.to,
            step=one.step,
            model=model,
        )
    if run_log.results_url:
        yield Output(name=run_log.results_name, kind="file", source=BLOB_KIND, uri=run_log.results_url)


def _list_sealed(reference: Reference, published: bool) -> dict[str, SealedOutput]:
    """What lies in the declared output, by its name as an output, whole or not. Raises Refused where nothing was
    published either.
    """
    try:
        there = list_sealed_outputs(reference, get_output_datastore(reference))
    except RequestRejected as refused:
        if not published:
            raise
        print(f"warning: what lies in the job's output cannot be listed from here: {refused}", file=sys.stderr)
        return {}
    return {
        _make_checkpoint_name(one.manifest.step) if one.folder else get_results_name(reference): one for one in there
    }


def _warn_of_incomplete(incomplete: Mapping[str, SealedOutput]) -> None:
    """Of a job that writes no more."""
    for name, one in incomplete.items():
        print(f"warning: {name} lies in the job's output and {format_missing_files(one)}", file=sys.stderr)


def _make_output(name: str, sealed_output: SealedOutput) -> Output:
    if not sealed_output.folder:
        return Output(name=name, kind="file", source=DatastorePath.kind, uri=sealed_output.uri, size=sealed_output.size)
    return Output(
        name=name,
        kind="checkpoint",
        source=DatastorePath.kind,
        uri=sealed_output.uri,
        step=sealed_output.manifest.step,
        model=sealed_output.manifest.model,
        digest=sealed_output.manifest.digest,
        size=sealed_output.size,
    )


def _list_models(reference: Reference, run_log: RunLog) -> Iterator[Output]:
    """Those that tracking has; none where nobody tells where artifacts lie."""
    if not (artifacts := run_log.find_artifacts(reference["job"])):
        return
    try:
        url = get_datastore(reference, ARTIFACT_DATASTORE).url
    except RequestRejected:
        return
    for step, artifact in sorted(artifacts.items()):
        uri = f"{url}/{make_artifact_path(reference, artifact)}"
        yield Output(name=f"{MODELS_FOLDER}/{step:06}", kind="file", source=BLOB_KIND, uri=uri)


def _make_checkpoint_name(step: int) -> str:
    return f"checkpoints/{step:06}"


def download_output(reference: Reference, output: Output, to: Path) -> None:
    """Copy it to the new folder `to`, which is whole as soon as it is there. Raises Rejected."""

    def fetch(scratch: Path) -> None:
        if _is_published(reference, output):
            outputs.download_blobs(output.source, output.uri, scratch)
        else:
            _download_from_datastore(reference, output, scratch)
        _verify_download(reference, output, scratch)

    outputs.download_atomically(output, to, fetch)


def _is_published(reference: Reference, output: Output) -> bool:
    """Whether it lies where the job copied it to, and not in a datastore."""
    place = reference.get("publishes", "").rstrip("/")
    return bool(place) and output.uri.startswith(f"{place}/")


def _download_from_datastore(reference: Reference, output: Output, to: Path) -> None:
    """As the workspace lets one in: with the secret that it keeps, else with this machine's own sign-in."""
    if output.source == DatastorePath.kind:
        place = datastore_path.parse_datastore_path(output.uri)
        store, folder = get_datastore(reference, place.datastore), place.path
    else:
        store = get_datastore(reference, ARTIFACT_DATASTORE)
        folder = output.uri.removeprefix(f"{store.url}/")
    try:
        with datastore.open_datastore(jobs.get_client(), store) as blobs:
            folder_transfer.download_blobs(blobs, blobs.list_blobs(folder), folder, to)
    except (ArmError, StorageError) as error:
        raise errors.make_rejection(error, jobs.get_run_workspace(reference), f"bring {output.name}") from None


def _verify_download(reference: Reference, output: Output, folder: Path) -> None:
    """Raise Rejected when what came is nothing, or not what was saved."""
    run = reference.get("run", "")
    outputs.require_content(
        output, folder, Suggestion(f"robotrain outputs {run}".rstrip(), "shows what lies there now")
    )
    if output.kind == "checkpoint" or output.name == get_results_name(reference):
        outputs.verify_checkpoint(output, folder, reference.get("job", ""), run, complete=True)
