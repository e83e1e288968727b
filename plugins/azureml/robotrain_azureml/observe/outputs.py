"""Outputs of a job: checkpoints, results and models, listed and downloaded."""

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from robotrain.cluster import outputs
from robotrain.cluster.outputs import ExpectedOutput, RunLog
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.model.run import Output
from robotrain.store import records
from robotrain_azure import outputs as azure_outputs
from robotrain_azure import storage
from robotrain_azure.arm import ServiceError
from robotrain_azure.models.workspace_models import WorkspaceModels
from robotrain_azure.outputs import ModelMetadata, download_source
from robotrain_azure.storage import ARTIFACT_DATASTORE, Datastore, make_artifact_path
from robotrain_azure.workspace import ARTIFACTS_OUTPUT
from robotrain_runtime.checkpoints.model_lineage import LINEAGE_FILE
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.event import Registered
from robotrain_sources.local_path import upload as local_upload

from robotrain_azureml import datastore_path, errors
from robotrain_azureml.datastore_path import DatastorePath
from robotrain_azureml.observe import job_state, logs
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.spec.submission_spec import DOCUMENT_FILE

make_problem = Messages(__file__)


def read_run_log(reference: Reference) -> RunLog:
    """Return the run's log, parsed so far; an empty one if it cannot be read."""

    def read_lines() -> Iterator[str]:
        with contextlib.suppress(Rejected):
            yield from logs.read_log(reference)

    return outputs.parse_run_log(read_lines())


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedOutput:
    """A checkpoint or the results in the declared output, with its manifest."""

    folder: str
    """Its folder in the output; empty for results, which are the whole output."""
    uri: str
    url: str
    """The same folder for other platforms."""
    manifest: CheckpointManifest
    size: int
    """Bytes of the present files."""
    missing_files: tuple[str, ...] = ()
    """Files of the manifest that do not exist."""


def get_datastore(reference: Reference, name: str = "") -> Datastore:
    """Return a datastore of the workspace: that of the output without a name. Raises Rejected."""
    workspace = jobs.get_run_workspace(reference)
    name = name or reference.get("datastore", "")
    with errors.reject_errors(workspace, f"read the datastore {name} of the workspace"):
        return storage.get_datastore(jobs.get_client(), workspace, name)


def has_results(reference: Reference) -> bool:
    """Return whether the output is one result, not a folder of checkpoints."""
    if "results" in reference:  # a step of a pipeline
        return bool(reference["results"])
    return bool(records.get_output_profile(reference.get("run", "")).complete_file)


def get_results_name(reference: Reference) -> str:
    """Return the name of the declared output."""
    return reference.get("output", "").strip("/").rpartition("/")[2]


def list_sealed_outputs(reference: Reference) -> list[SealedOutput]:
    """Return checkpoints by step, or the results, including incomplete ones. Raises Rejected."""
    store = get_datastore(reference)
    workspace = jobs.get_run_workspace(reference)
    output = reference.get("output", "").strip("/")
    in_folders = not has_results(reference)
    rejecting = errors.reject_errors(workspace, f"list the output of {reference['job']}")
    sealed_outputs = []
    with rejecting, datastore.open_datastore(jobs.get_client(), store) as blobs:
        blobs_by_name = {blob.name[len(output) + 1 :]: blob for blob in blobs.list_blobs(output)}
        for name, seal in blobs_by_name.items():
            folder, _, file_name = name.rpartition("/")
            if file_name != MANIFEST or not re.fullmatch(r"\d+" if in_folders else "", folder):
                continue
            manifest = checkpoint.parse_manifest(blobs.read_blob(seal.name))
            job = reference.get("job", "")
            run = reference.get("run", "")
            if manifest is None or outputs.is_foreign_checkpoint(manifest, job, run):
                continue
            files = {file: blobs_by_name.get(f"{folder}/{file}" if folder else file) for file in manifest.files}
            size = sum(blob.size for blob in files.values() if blob)
            path = f"{output}/{folder}".rstrip("/")
            uri = str(DatastorePath(reference.get("datastore", ""), path, workspace))
            url = f"{store.url}/{path}"
            missing_files = tuple(file for file, blob in files.items() if blob is None)
            sealed_output = SealedOutput(
                folder=folder, uri=uri, url=url, manifest=manifest, size=size, missing_files=missing_files
            )
            sealed_outputs.append(sealed_output)
    return sorted(sealed_outputs, key=lambda item: item.manifest.step)


def make_no_outputs_problem(
    reference: Reference, job: AzureMLJob, incomplete_outputs: Mapping[str, SealedOutput]
) -> Problem:
    """Return the problem of a job that reported outputs of which none is complete."""
    run = reference.get("run") or reference["job"]
    datastore_name = reference.get("datastore", "")
    noun = "results" if has_results(reference) else "checkpoints"
    folder = reference.get("output", "")
    if not job.is_finished:
        message = "outputs-missing.at-end" if job.output_mode == "Upload" else "outputs-missing.copying"
        fix = Suggestion(f"robotrain wait {run}", "waits for its end")
        return make_problem(message, fix, _suggest_mount(run), noun=noun, run=run)
    fix = Suggestion(f"robotrain status {run}", "shows why it ended")
    if incomplete_outputs:
        details = "; ".join(
            f"{name} {format_missing_files(sealed_output)}" for name, sealed_output in incomplete_outputs.items()
        )
        ways = (fix, _suggest_mount(run))
        return make_problem("outputs-torn", *ways, run=run, place=datastore_name, folder=folder, details=details)
    ways = (fix, _suggest_mount(run))
    return make_problem("outputs-unpublished", *ways, noun=noun, run=run, place=datastore_name, folder=folder)


def format_missing_files(sealed_output: SealedOutput) -> str:
    """Return which files are missing."""
    return f"lacks {local_upload.summarize_names(sealed_output.missing_files)}"


def _suggest_mount(run: str) -> Suggestion:
    return Suggestion(f"robotrain resubmit {run} --set output_mode=rw_mount", "the same job; keeps each one at once")


MODELS_FOLDER = "models"
"""The folder of model names, beside that of checkpoints, from which a training can resume."""


def list_outputs(reference: Reference) -> list[Output]:
    """Return the checkpoints, oldest first, or the results, then models.

    Raises RunGone, and Rejected also if the job reported outputs that do not exist.
    """
    reference = job_state.select_step(reference)
    job, _ = job_state.query_job(reference)
    if job.state == "pending" and not job.logs:
        return []
    run_log = read_run_log(reference)
    complete_outputs = {output.name: output for output in run_log.list_published()}
    try:
        sealed_outputs = list_sealed_outputs(reference)
    except Rejected as rejected:
        if not complete_outputs:
            raise
        print(f"warning: cannot list the job's output: {rejected}", file=sys.stderr)
        sealed_outputs = []
    results_name = get_results_name(reference)
    sealed_by_name = {
        outputs.make_checkpoint_name(sealed_output.manifest.step)
        if sealed_output.folder
        else results_name: sealed_output
        for sealed_output in sealed_outputs
    }
    for name, listed_output in sealed_by_name.items():
        if not listed_output.missing_files:
            output = Output(
                name=name, kind="file", source=DatastorePath.kind, uri=listed_output.uri, size=listed_output.size
            )
            if listed_output.folder:
                seal = listed_output.manifest
                output = replace(output, kind="checkpoint", step=seal.step, model=seal.model, digest=seal.digest)
            addresses = run_log.progress.list_addresses(output.step)
            complete_outputs[name] = replace(
                output, addresses=(*addresses, *([listed_output.url] if listed_output.folder else []))
            )
    incomplete_outputs = {
        name: listed_output for name, listed_output in sealed_by_name.items() if name not in complete_outputs
    }
    models = list(_list_models(reference, run_log))
    if (
        not complete_outputs
        and not models
        and (run_log.progress.checkpoint or run_log.evaluation or incomplete_outputs)
    ):
        raise Rejected([make_no_outputs_problem(reference, job, incomplete_outputs)])
    if job.is_finished:
        for name, listed_output in incomplete_outputs.items():
            print(f"warning: {name} in the job's output {format_missing_files(listed_output)}", file=sys.stderr)
    return [*sorted(complete_outputs.values(), key=lambda output: output.step or 0), *models]


def _list_models(reference: Reference, run_log: RunLog) -> Iterator[Output]:
    if not (artifacts := run_log.find_artifacts(reference["job"])):
        return
    try:
        url = get_datastore(reference, storage.ARTIFACT_DATASTORE).url
    except Rejected:
        return
    for step, artifact in sorted(artifacts.items()):
        uri = f"{url}/{storage.make_artifact_path(reference['job'], artifact)}"
        yield Output(name=f"{MODELS_FOLDER}/{step:06}", kind="file", source=outputs.BLOB_KIND, uri=uri)


def expect_output(reference: Reference, output: Output) -> ExpectedOutput:
    """Return what a download of an output must be."""
    run = reference.get("run", "")
    return ExpectedOutput(
        run=run,
        submission=reference.get("job", ""),
        sealed=output.kind == "checkpoint" or output.name == get_results_name(reference),
        listing=Suggestion(f"robotrain outputs {run}".rstrip(), "lists the outputs"),
    )


def fetch_output(reference: Reference, output: Output, to: Path) -> None:
    """Download an output into the empty folder `to`.

    From a datastore with the workspace's secret for it, else with the user's own sign-in.
    """
    url = reference.get("publishes", "").rstrip("/")
    if output.source == outputs.HUB_KIND or (url and output.uri.startswith(f"{url}/")):  # not in a datastore
        download_source(output.source, output.uri, to)
        return
    if output.source == DatastorePath.kind:
        path = datastore_path.parse_datastore_path(output.uri)
        store = get_datastore(reference, path.datastore)
        folder = path.path
    else:
        store = get_datastore(reference, storage.ARTIFACT_DATASTORE)
        folder = output.uri.removeprefix(f"{store.url}/")
    rejecting = errors.reject_errors(jobs.get_run_workspace(reference), f"download {output.name}")
    with rejecting, datastore.open_datastore(jobs.get_client(), store) as blobs:
        datastore.download_blobs(blobs, blobs.list_blobs(folder), folder, to)


def write_lineage(reference: Reference, path: str, lineage_bytes: bytes) -> None:
    """Write the lineage file beside the model at an artifact path.

    Without write access, print a warning: the model is registered anyway.
    """
    try:
        store = get_datastore(reference, ARTIFACT_DATASTORE)
        with datastore.open_datastore(jobs.get_client(), store) as blobs:
            name = make_artifact_path(reference["job"], f"{path}/{LINEAGE_FILE}")
            if not blobs.has_blob(name):  # an evaluated policy has that of its training
                blobs.write_blob(name, lineage_bytes)
    except (Rejected, ServiceError) as error:
        if isinstance(error, ServiceError):
            action = f"write {LINEAGE_FILE} beside the model"
            error = errors.make_rejection(error, jobs.get_run_workspace(reference), action)
        print(f"warning: cannot write {LINEAGE_FILE}; the model's tags have the same content: {error}", file=sys.stderr)


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Register the checkpoint of `step`, or the last one, as the next version of a model, unless it is one already.

    Raises RunGone, Rejected.
    """
    reference = job_state.select_step(reference)
    job_state.query_job(reference)
    run_log = read_run_log(reference)
    artifacts = run_log.find_artifacts(reference["job"])
    try:
        sealed_outputs = list_sealed_outputs(reference)
    except Rejected:
        if not artifacts:
            raise
        sealed_outputs = []  # what was tracked is enough
    checkpoints = {
        sealed_output.manifest.step: sealed_output
        for sealed_output in sealed_outputs
        if sealed_output.folder and not sealed_output.missing_files
    }
    run = reference.get("run") or reference["job"]
    chosen_step = azure_outputs.choose_step(run, {*checkpoints, *artifacts}, step)
    metadata = _make_metadata(reference, chosen_step, checkpoints.get(chosen_step), run_log)
    if chosen_step in artifacts:  # as the job itself would register it
        output, path = ARTIFACTS_OUTPUT, artifacts[chosen_step]
    else:
        checkpoint = checkpoints[chosen_step]
        output = get_results_name(reference)
        path = "/".join(filter(None, (checkpoint.folder, checkpoint.manifest.model)))
    workspace = jobs.get_run_workspace(reference)
    models = WorkspaceModels(jobs.get_client(), workspace)

    def create() -> str:
        if metadata.lineage and output == ARTIFACTS_OUTPUT:
            write_lineage(reference, path, metadata.lineage)
        return models.create(name, reference["job"], path, metadata.tags, metadata.description, output=output)

    with errors.reject_errors(workspace, f"register the model {name}"):
        return azure_outputs.register_version(models, name, chosen_step, metadata, create)


def _make_metadata(reference: Reference, step: int, checkpoint: SealedOutput | None, run_log: RunLog) -> ModelMetadata:
    job, run = reference["job"], reference.get("run", "")
    ids = {"azureml_run_id": job, "mlflow_run_id": job}
    if run_log.run_id == job and run_log.experiment_id:
        ids["mlflow_experiment_id"] = run_log.experiment_id
    file = f"{reference.get('files', '')}{DOCUMENT_FILE}"
    document = azure_outputs.load_submitted_document(reference.get("plan", run), file)
    manifest, folder = (checkpoint.manifest, checkpoint.folder) if checkpoint else (None, "")
    return azure_outputs.make_model_metadata(run, "azureml", step, document, run_log, ids, manifest, folder)
