"""Outputs of a run: published checkpoints and results, listed and downloaded."""

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Output, Reference
from robotrain.store import records
from robotrain_azure import outputs
from robotrain_azure import outputs as shared
from robotrain_azure.outputs import RunLog
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest

from robotrain_osmo.client import service
from robotrain_osmo.kinds import storage
from robotrain_osmo.kinds.storage import to_storage_url
from robotrain_osmo.observe import logs, workflow_state
from robotrain_osmo.observe.logs import MAX_LOG_LINES, TRIMMED_LINE

TRIMMED_LOG_NOTE = f"OSMO keeps the last {MAX_LOG_LINES:,} lines of a log, and this one was longer"


@dataclass(frozen=True, slots=True)
class OsmoRunLog:
    """said: all that it says by now. trimmed: what was said at its beginning is not there any more."""

    run_log: RunLog
    trimmed: bool


def read_run_log(reference: Reference) -> OsmoRunLog:
    """The log of a workflow. Raises RunGone, Rejected."""
    lines = list(logs.read_logs(reference, follow=False))
    said = shared.parse_run_log(lines)
    if not said.run_id and (found := _find_tracking_run(said)):
        said.progress.tracking = {"run_id": found}
    return OsmoRunLog(said, lines[:1] == [TRIMMED_LINE])


def _find_tracking_run(run_log: RunLog) -> str:
    """The id of the tracking run that checkpoints were put into; empty for none."""
    found = (re.fullmatch(r"runs:/([^/]+)/.+", one.to) for one in run_log.progress.published)
    return next((match[1] for match in found if match), "")


BLOB_KIND, STORAGE_KIND = "blob_url", "osmo_storage"
"""The source kinds that read them: what OSMO copied to Azure is blobs too."""
_SEALED_CHECKPOINT = rf"(?:.*/)?(?P<step>\d+)/{re.escape(MANIFEST)}"


def list_outputs(reference: Reference) -> list[Output]:
    """The checkpoints, oldest first, or the results. Raises RunGone, and Rejected: also when it made some and published
    none.
    """
    log, place = read_run_log(reference), reference.get("publishes", "")
    said = log.run_log
    found = {one.name: one for one in _list_published(said)}
    if is_osmo_storage(place):
        found |= {one.name: one for one in _list_copied(reference, place, said)}
    elif place and log.trimmed:
        print(f"warning: {TRIMMED_LOG_NOTE}: earlier checkpoints may lie at {place}", file=sys.stderr)
    if not found and not place and (said.progress.checkpoint or said.evaluation):
        raise Rejected([_make_unpublished_problem(reference, said)])
    return sorted(found.values(), key=lambda one: one.step or 0)


def is_osmo_storage(place: str) -> bool:
    """Whether OSMO itself copies checkpoints there."""
    return storage.is_storage_url(place)


def _list_published(run_log: RunLog) -> Iterator[Output]:
    """Those at an address; a folder of the machine is gone with it, and tracking shows its own."""
    for one in run_log.published_checkpoints:
        yield _make_checkpoint_output(one.step, BLOB_KIND, one.to, run_log)
    if run_log.results_url:
        yield Output(name=run_log.results_name, kind="file", source=BLOB_KIND, uri=run_log.results_url)


def _list_copied(reference: Reference, place: str, run_log: RunLog) -> Iterator[Output]:
    """Those of this run that OSMO copied to its storage; all of it as one where it cannot be listed from here."""
    try:
        there = service.query_text(workflow_state.get_command(reference), "data", "list", place, "--no-pager", "-r")
        others = find_foreign_steps(reference, place) if MANIFEST in there else frozenset()
    except Rejected as rejected:
        print(f"warning: {place} cannot be listed from here: {rejected}", file=sys.stderr)
        yield _make_folder_output(place, run_log)
        return
    lines = there.splitlines()  # each a name of the whole container
    left = records.get_output_profile(reference.get("run", ""))
    complete = f"{left.folder}/{left.complete_file}" if left.complete_file else ""
    if run_log.evaluation and complete and any(line.strip().endswith(complete) for line in lines):
        yield _make_folder_output(place, run_log)
    for line in lines:
        if (sealed := re.fullmatch(_SEALED_CHECKPOINT, line.strip())) and int(sealed["step"]) not in others:
            name = line.strip().rpartition("/")[0].rpartition("/")[2]
            yield _make_checkpoint_output(int(sealed["step"]), *_get_source(f"{place.rstrip('/')}/{name}"), run_log)


def _make_folder_output(place: str, said: RunLog) -> Output:
    """All that lies there, as one."""
    source, uri = _get_source(place)
    name = place.rstrip("/").rpartition("/")[2]
    if said.evaluation and name == said.results_name:
        return Output(name=name, kind="file", source=source, uri=uri)
    return Output(name="checkpoints", kind="checkpoint", source=source, uri=uri)


def _get_source(place: str) -> tuple[str, str]:
    """The source kind that reads an address of OSMO's storage, and the address as it takes it."""
    read = storage.to_blob_url(place)
    return (BLOB_KIND, read) if read else (STORAGE_KIND, place)


def _make_checkpoint_output(step: int, source: str, uri: str, run_log: RunLog) -> Output:
    name = f"checkpoints/{step:06}"
    return Output(name=name, kind="checkpoint", source=source, uri=uri, step=step, model=run_log.models.get(step, ""))


def _make_unpublished_problem(reference: Reference, run_log: RunLog) -> Problem:
    run, known = reference.get("run") or reference["workflow"], run_log.progress
    made, shown = ("results", "them") if run_log.evaluation else ("checkpoints", "its models")
    kept = [f"Its tracking run shows {shown}: {known.tracking_ui}."] if known.tracking_ui else []
    kept += [f"Its model is registered: {one.name}, version {one.version}." for one in known.registered]
    return Problem(
        code="outputs-unpublished",
        stage=Stage.SUBMIT,
        title=f"the {made} of {run} were published nowhere: they end with the machine they lie on",
        why=" ".join(kept),
        suggestions=(
            Suggestion(
                f"robotrain resubmit {run} --set publish_url=https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
                f"the same once more, its {made} copied there",
            ),
        ),
    )


_SEAL_FILES = rf"(?:.*/)?\d+/{re.escape(checkpoint.MANIFEST)}$"


def find_foreign_steps(reference: Reference, place: str) -> frozenset[int]:
    """The steps whose seal names another run, or another submission of this one.

    What does not come counts as the run's own: whoever brings it is told then.
    """
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        with contextlib.suppress(Rejected):
            service.query_text(
                workflow_state.get_command(reference), "data", "download", place, folder, "--regex", _SEAL_FILES
            )
        found = [(step, checkpoint.read_manifest(path)) for step, path in checkpoint.list_checkpoints(Path(folder))]
    return frozenset(step for step, made in found if made and is_foreign_checkpoint(reference, made))


def is_foreign_checkpoint(reference: Reference, manifest: CheckpointManifest) -> bool:
    """Whether a checkpoint says that it is not of this run, in this very submission."""
    return outputs.is_foreign_checkpoint(manifest, reference.get("workflow", ""), reference.get("run", ""))


DOWNLOAD_SECONDS = 6 * 3600.0


def download_output(reference: Reference, output: Output, to: Path) -> None:
    """Copy it to the new folder `to`, which is whole as soon as it is there. Raises Rejected."""

    def fetch(scratch: Path) -> None:
        if _is_readable_by_osmo(reference, output):
            _download_storage(reference, output, scratch)
        else:
            outputs.download_blobs(output.source, output.uri, scratch)
        _verify_download(reference, output, scratch)

    outputs.download_atomically(output, to, fetch)


def _is_readable_by_osmo(reference: Reference, output: Output) -> bool:
    """Whether it lies where the `osmo` command may read: what it listed it also brings."""
    return output.source != BLOB_KIND or is_osmo_storage(reference.get("publishes", ""))


def _verify_download(reference: Reference, output: Output, folder: Path) -> None:
    """Raise Rejected when what came is not what was saved."""
    shows = Suggestion(f"osmo data list {to_storage_url(output.uri)} --no-pager", "shows what lies there")
    outputs.require_content(output, folder, shows)
    run = reference.get("run", "")
    sealed = output.step is not None or (folder / MANIFEST).exists()  # results that OSMO copied have no seal
    outputs.verify_checkpoint(output, folder, reference.get("workflow", ""), run, complete=sealed)


def _download_storage(reference: Reference, output: Output, to: Path) -> None:
    """With the command that knows that storage and its credentials."""
    service.query_text(
        workflow_state.get_command(reference),
        "data",
        "download",
        to_storage_url(output.uri),
        str(to),
        seconds=DOWNLOAD_SECONDS,
    )
