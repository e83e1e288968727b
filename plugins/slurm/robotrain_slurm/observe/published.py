"""The outputs of a run without a shared disk: the complete checkpoints that it published, as they are there now."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from robotrain.cluster.outputs import HUB_KIND, make_checkpoint_name, make_output_uri, print_progress
from robotrain.errors import Rejected, make_problem
from robotrain.model.run import Output, Reference
from robotrain.redaction import redact
from robotrain.run_folder import outputs
from robotrain.store import files
from robotrain_runtime.checkpoints import targets
from robotrain_runtime.contract import checkpoint, plugin_loader
from robotrain_runtime.contract.document import JobDocument, parse_document
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import environment
from robotrain_runtime.process.stop import StopSignal

from robotrain_slurm.observe.status import find_folder
from robotrain_slurm.spec.submission_spec import DOCUMENT_FILE

FOLDER_KIND = "local_path"


def list_published(reference: Reference) -> list[Output]:
    """Return the checkpoints that a run published, in order. Raise RunGone, Rejected.

    An address is asked with this machine's credentials, in an environment that is built once.
    """
    document = parse_document((find_folder(reference) / DOCUMENT_FILE).read_text())
    try:
        found = [*_list_in_folders(document), *_list_at_addresses(document)]
    except (JobFailed, OSError) as error:
        title, why = "what the run published cannot be listed", f"{redact(str(error), max_length=1000)}."
        raise Rejected([make_problem("slurm-files-on-node", title, "", "", why)]) from None
    return sorted(found, key=lambda output: output.step or 0)


def download_published(reference: Reference, output: Output, to: Path) -> None:
    """Copy an output from a folder. Raise Rejected, also for one at an address, which says how it is read."""
    if output.source == FOLDER_KIND:
        outputs.download_output(output, to)
        return
    title = f"{output.name} is at the address that the run published it to"
    why = "The run had --storage node, so its files are not on a disk that this machine sees."
    way = f"{'--policy-repo-id' if output.source == HUB_KIND else '--policy-url'} {output.uri}"
    raise Rejected([make_problem("slurm-files-on-node", title, "", output.uri, why, way)])


def _list_in_folders(document: JobDocument) -> Iterator[Output]:
    for target in plugin_loader.load_workload_plugin(document).targets(document, {}):
        folder = Path(target.to)
        for step, path in checkpoint.list_checkpoints(folder) if folder.is_absolute() else ():
            manifest = checkpoint.read_manifest(path)
            if manifest and manifest.run == document.run:
                yield _make_output(step, FOLDER_KIND, str(path))


def _list_at_addresses(document: JobDocument) -> Iterator[Output]:
    """Yield what is at the publish targets with an address. Raise JobFailed, OSError."""
    required = targets.get_target_environment(document)
    if required is None:
        return
    cache = files.get_cache_folder()
    python = environment.build_python(required, cache, print_progress, StopSignal())
    here = replace(document, placement=replace(document.placement, cache=str(cache)))
    context = plugin_loader.make_container_context(here, python)
    for target in targets.inspect_targets(here, {}, context):
        if problems := target.inspection.problems:
            raise JobFailed("; ".join(problems).replace("\n", ": "))
        for step, run in target.inspection.runs.items():
            if run == document.run:
                mark = target.inspection.marks.get(step)
                name = mark.name if mark else f"{step:06}"
                address = target.plugin.locate(target.to, name)
                yield _make_output(step, target.kind, make_output_uri(address))


def _make_output(step: int, kind: str, address: str) -> Output:
    return Output(name=make_checkpoint_name(step), kind="checkpoint", source=kind, uri=address, step=step)
