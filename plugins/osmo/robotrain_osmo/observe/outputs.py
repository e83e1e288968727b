"""Outputs of a run: published checkpoints and results, listed and downloaded."""

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain.cluster import outputs
from robotrain.cluster.outputs import BLOB_KIND, HUB_KIND, HUB_PREFIX, ExpectedOutput, RunLog
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.model.run import Output
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain.store import records
from robotrain_azure import errors, workspace
from robotrain_azure import outputs as azure_outputs
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.models.workspace_models import WorkspaceModels
from robotrain_azure.outputs import download_source
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.contract.event import Registered

from robotrain_osmo import storage
from robotrain_osmo.client import service
from robotrain_osmo.observe import logs, pipeline_steps, workflow_state
from robotrain_osmo.observe.log_lines import MAX_LOG_LINES, TRIMMED_LINE
from robotrain_osmo.observe.logs import INCOMPLETE_LINE
from robotrain_osmo.spec.submission_spec import get_step_path
from robotrain_osmo.storage import to_storage_url

make_problem = Messages(__file__)

TRIMMED_LOG_NOTE = f"OSMO keeps only the last {MAX_LOG_LINES:,} lines of a log, and this one is longer"


def read_run_log(reference: Reference) -> RunLog:
    """Read the log of a workflow, or of a step's task. Raise RunGone, or Rejected, also for a part of the log."""
    run_log, is_cut = _read_present_log(reference)
    if is_cut:
        raise _make_unread_error(reference)
    return run_log


def _read_present_log(reference: Reference) -> tuple[RunLog, bool]:
    """Read what OSMO sends of a log; return also whether it broke off. Raise RunGone or Rejected."""
    log_lines = list(logs.read_log(reference))
    return outputs.parse_run_log(log_lines, trimmed=log_lines[:1] == [TRIMMED_LINE]), log_lines[-1:] == [
        INCOMPLETE_LINE
    ]


def _make_unread_error(reference: Reference) -> Rejected:
    retry = Suggestion("the same command", "a little later")
    url = reference.get("publishes", "")
    in_storage = url and not url.startswith(HUB_PREFIX)
    listing = Suggestion(f"osmo data list {to_storage_url(url)} --no-pager", "lists the storage") if in_storage else ""
    return Rejected([make_problem("osmo-log-unread", retry, listing, workflow=reference["workflow"])], transient=True)


_SEALED_CHECKPOINT = rf"(?:.*/)?(?P<step>\d+)/{re.escape(MANIFEST)}$"


def list_outputs(reference: Reference) -> list[Output]:
    """Return the checkpoints in order, or the results.

    Raise RunGone, or Rejected, also if the run published none of its outputs; a step only warns of that.
    """
    reference = pipeline_steps.select_step(reference)
    (run_log, is_cut), url = _read_present_log(reference), reference.get("publishes", "")
    outputs_by_name = {output.name: output for output in run_log.list_published()}
    if storage.is_storage_url(url):
        outputs_by_name |= {output.name: output for output in _list_copied(reference, url, run_log)}
    elif url and run_log.trimmed:
        print(f"warning: {TRIMMED_LOG_NOTE}: there may be earlier checkpoints at {url}", file=sys.stderr)
    outputs_by_name |= {output.name: output for output in _list_published_dataset(reference)}
    if is_cut and not outputs_by_name:
        raise _make_unread_error(reference)
    if not outputs_by_name and not url and (run_log.progress.checkpoint or run_log.evaluation):
        problem = _make_unpublished_problem(reference, run_log)
        if not pipeline_steps.is_step(reference):
            raise Rejected([problem])
        print(f"warning: {problem.title}", file=sys.stderr)  # other steps may have outputs
    return sorted(outputs_by_name.values(), key=lambda output: output.step or 0)


def describe_reference(reference: Reference) -> Mapping[str, str]:
    """Return the workflow's id and the storage that OSMO copies its outputs to, for display."""
    url = reference.get("publishes", "")
    facts = {"workflow": reference.get("workflow", ""), "copied to": url if storage.is_storage_url(url) else ""}
    facts["dataset"] = reference.get("dataset", "")
    return {name: fact for name, fact in facts.items() if fact}


def _list_published_dataset(reference: Reference) -> Iterator[Output]:
    """Yield the OSMO dataset that the task has written; up to 6.3, only its name is known (`describe_reference`)."""
    url = reference.get("dataset", "")
    if "://" not in url:
        return
    try:
        if service.is_storage_empty(workflow_state.get_command(reference), url):
            return
    except Rejected as rejected:
        print(f"warning: cannot list {url} from this machine: {rejected}", file=sys.stderr)
    yield Output(name="dataset", kind="file", source=storage.KIND.name, uri=url)


def _list_copied(reference: Reference, url: str, run_log: RunLog) -> Iterator[Output]:
    """Yield the outputs of this run that OSMO copied, or the whole folder if this machine cannot list it."""
    try:
        listing = service.query_text(workflow_state.get_command(reference), "data", "list", url, "--no-pager", "-r")
        foreign_steps = find_foreign_steps(reference, url) if MANIFEST in listing else frozenset()
    except Rejected as rejected:
        print(f"warning: cannot list {url} from this machine: {rejected}", file=sys.stderr)
        yield _make_folder_output(url, run_log)
        return
    keys = [listing_line.strip() for listing_line in listing.splitlines()]
    profile = records.get_output_profile(pipeline_steps.get_whole_run(reference))
    last_file = f"{profile.folder}/{profile.complete_file}" if profile.complete_file else ""
    if run_log.evaluation and last_file and any(key.endswith(last_file) for key in keys):
        yield _make_folder_output(url, run_log)
    for key in keys:
        if (match := re.fullmatch(_SEALED_CHECKPOINT, key)) and int(match["step"]) not in foreign_steps:
            name = key.rpartition("/")[0].rpartition("/")[2]
            yield run_log.make_checkpoint(int(match["step"]), *_get_source(f"{url.rstrip('/')}/{name}"))


def _make_folder_output(url: str, run_log: RunLog) -> Output:
    source, uri = _get_source(url)
    name = url.rstrip("/").rpartition("/")[2]
    if run_log.evaluation and name == run_log.results_name:
        return Output(name=name, kind="file", source=source, uri=uri)
    return Output(name="checkpoints", kind="checkpoint", source=source, uri=uri)


def _get_source(url: str) -> tuple[str, str]:
    """Return the source kind that reads an OSMO storage URL, and the URL in its form; in Azure, it is a blob URL."""
    blob_url = storage.to_blob_url(url)
    return (BLOB_KIND, blob_url) if blob_url else (storage.KIND.name, url)


def _make_unpublished_problem(reference: Reference, run_log: RunLog) -> Problem:
    run = pipeline_steps.get_whole_run(reference) or reference["workflow"]
    progress = run_log.progress
    noun, tracked_noun = ("results", "them") if run_log.evaluation else ("checkpoints", "the models")
    notes = [f"The tracking run has {tracked_noun}: {progress.tracking_ui}."] if progress.tracking_ui else []
    notes += [f"The model is registered: {model.name}, version {model.version}." for model in progress.registered]
    command = f"robotrain resubmit {run} --set publish_url=https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
    fix = Suggestion(command, f"the same run again, with published {noun}")
    return make_problem("outputs-unpublished", fix, noun=noun, run=run, why=" ".join(notes))


def find_foreign_steps(reference: Reference, url: str) -> frozenset[int]:
    """Return the steps whose manifest names another run or submission.

    A manifest that cannot be read counts as the run's own; the download checks it again.
    """
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        words = ("data", "download", url, folder, "--regex", _SEALED_CHECKPOINT)
        with contextlib.suppress(Rejected):
            service.query_text(workflow_state.get_command(reference), *words)
        manifests = [(step, checkpoint.read_manifest(path)) for step, path in checkpoint.list_checkpoints(Path(folder))]
    identity = (pipeline_steps.get_submission(reference), reference.get("run", ""))
    return frozenset(
        step for step, manifest in manifests if manifest and outputs.is_foreign_checkpoint(manifest, *identity)
    )


DOWNLOAD_SECONDS = 6 * 3600.0


def expect_output(reference: Reference, output: Output) -> ExpectedOutput:
    """Return what a download of an output must be."""
    listing = Suggestion(f"osmo data list {to_storage_url(output.uri)} --no-pager", "lists the storage")
    if output.source == HUB_KIND:
        listing = Suggestion(f"robotrain outputs {reference.get('run', '')}".rstrip(), "lists the outputs")
    return ExpectedOutput(
        run=reference.get("run", ""),
        submission=pipeline_steps.get_submission(reference),
        sealed=output.step is not None,  # results that OSMO copied have no manifest
        listing=listing,
    )


def fetch_output(reference: Reference, output: Output, to: Path) -> None:
    """Download an output into the empty folder `to`: what the run published itself without the `osmo` command."""
    is_copy = storage.is_storage_url(reference.get("publishes", ""))
    if output.source == HUB_KIND or (output.source == BLOB_KIND and not is_copy):
        download_source(output.source, output.uri, to)
    else:
        words = ("data", "download", to_storage_url(output.uri), str(to))
        service.query_text(workflow_state.get_command(reference), *words, seconds=DOWNLOAD_SECONDS)


RETRY_SECONDS = 6.0
"""How long transient errors of Azure are retried."""


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Register the checkpoint of `step`, the last one, or the evaluated policy as the next version of `name`.

    A registered checkpoint keeps its version. Raise RunGone or Rejected.
    """
    reference = pipeline_steps.select_step(reference)
    run_log = read_run_log(reference)
    task = reference.get("task", "")
    is_step = pipeline_steps.is_step(reference)
    file = get_step_path(task, DOCUMENT_FILE) if is_step else DOCUMENT_FILE
    document = azure_outputs.load_submitted_document(pipeline_steps.get_whole_run(reference), file)
    target = workspace.parse_tracking_uri(document.placement.tracking_uri) if document else None
    artifacts = run_log.find_artifacts(run_log.run_id)
    if target is None or not artifacts:
        raise Rejected([_make_impossible_problem(reference, name, run_log)])
    run = pipeline_steps.get_whole_run(reference) or "RUN"
    note = f" {TRIMMED_LOG_NOTE}: there may be earlier steps." if run_log.trimmed else ""
    step = azure_outputs.choose_step(run, artifacts, step, note)
    ids = {"mlflow_run_id": run_log.run_id, "mlflow_experiment_id": run_log.experiment_id}
    ids = {name: identifier for name, identifier in ids.items() if identifier}
    metadata = azure_outputs.make_model_metadata(reference.get("run", ""), "osmo", step, document, run_log, ids)
    models = WorkspaceModels(ArmClient(RETRY_SECONDS), target)

    def create() -> str:
        return models.create(name, run_log.run_id, artifacts[step], metadata.tags, metadata.description)

    try:
        return azure_outputs.register_version(models, name, step, metadata, create)
    except ArmError as error:
        diagnosis = errors.diagnose_error(error, target)
        reason = diagnosis.why
        reason = redact(reason, max_length=MAX_SENTENCE)
        raise Rejected(
            [make_problem("not-registered", *diagnosis.suggestions, name=name, title=diagnosis.title, why=reason)]
        ) from None


def _make_impossible_problem(reference: Reference, name: str, log: RunLog) -> Problem:
    run = pipeline_steps.get_whole_run(reference) or "RUN"
    noun = records.get_output_profile(pipeline_steps.get_whole_run(reference)).noun
    reason = f"Its tracking server is not a workspace or has no model of this {noun}, or its plan is missing here."
    if not log.run_id:
        reason = f"The log of the {noun} shows no tracking."
    note = f" {TRIMMED_LOG_NOTE}." if log.trimmed else ""
    return make_problem("feature-not-there", given=name, run=run, why=f"{reason}{note}")
