"""Outputs in a run folder: complete checkpoints, files and evaluation results; and copies of them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import DOCUMENT_FILE

from robotrain.cluster.outputs import download_atomically
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import Output
from robotrain.run_folder import file_names, log
from robotrain.run_folder.copied_output import copy_output, is_inside

make_problem = Messages(__file__)

SEALED_PATTERN = f"*/*/*/{checkpoint.MANIFEST}"


@dataclass(frozen=True, slots=True)
class FolderCheckpoint:
    """A complete checkpoint."""

    step: int
    folder: Path
    model: str
    """The part of it that is the model."""
    digest: str
    """Empty if it has no manifest."""


def list_checkpoints(folder: Path) -> list[FolderCheckpoint]:
    """Return the existing checkpoints of a run that have an event or a manifest, oldest first."""
    events = {Path(event.path): event for event in log.read_checkpoint_events(folder)}
    sealed_folders = (manifest.parents[1] for manifest in folder.glob(SEALED_PATTERN))  # an event may be missing
    checkpoints = []
    for parent in dict.fromkeys([*(path.parent for path in events), *sealed_folders]):
        for step, path in checkpoint.list_checkpoints(parent):
            manifest = checkpoint.read_manifest(path)
            if manifest and (manifest.run == folder.name or path in events):
                checkpoints.append(FolderCheckpoint(step, path, manifest.model, manifest.digest))
            elif path in events:
                checkpoints.append(FolderCheckpoint(step, path, events[path].model, ""))
    return sorted(checkpoints, key=lambda item: item.step)


def describe_surviving_checkpoints(folder: Path) -> Iterator[str]:
    """Yield sentences, without a period, about the last complete checkpoint and a newer one without a manifest."""
    checkpoints = list_checkpoints(folder)
    if complete := [listed_checkpoint for listed_checkpoint in checkpoints if listed_checkpoint.digest]:
        yield f"Its last complete checkpoint, of step {complete[-1].step}, is at {complete[-1].folder}"
    if checkpoints and checkpoints[-1:] != complete[-1:]:
        newest = checkpoints[-1]
        yield f"Its last checkpoint, of step {newest.step}, is at {newest.folder}; it may be incomplete"


RUNTIME_FILES = (file_names.LOG_FILE, file_names.EVENTS_FILE, file_names.OUTCOME_FILE, DOCUMENT_FILE)

OUTPUTS_FOLDER = "outputs"
CHECKPOINTS_FOLDER = "checkpoints"


def list_outputs(folder: Path) -> Iterator[Output]:
    """Yield the checkpoints, oldest first, then the runtime's files, then other files in the work folder."""
    checkpoints = list_checkpoints(folder)
    progress = log.read_published(folder)
    for listed_checkpoint in checkpoints:
        yield replace(
            _make_output(listed_checkpoint.folder),
            kind="checkpoint",
            step=listed_checkpoint.step,
            model=listed_checkpoint.model,
            digest=listed_checkpoint.digest,
            addresses=progress.list_addresses(listed_checkpoint.step),
        )
    runtime_files = [folder / name for name in RUNTIME_FILES if (folder / name).is_file()]
    yield from (replace(_make_output(path), name=path.name) for path in runtime_files)
    parents = [listed_checkpoint.folder.parent for listed_checkpoint in checkpoints]
    listed_paths = {*parents, *(listed_checkpoint.folder for listed_checkpoint in checkpoints)}
    work_folders = [parent.parent if parent.name == CHECKPOINTS_FOLDER else parent for parent in parents]
    for parent in dict.fromkeys([folder / OUTPUTS_FOLDER, *work_folders]):
        other_paths = [path for path in _list_visible_paths(parent) if path not in listed_paths]
        listed_paths.update(other_paths)
        yield from map(_make_output, other_paths)
    yield from (_make_output(path) for path in _list_evaluation_folders(folder) if path not in listed_paths)


def download_output(output: Output, to: Path, folder: Path) -> list[str]:
    """Copy an output atomically to the new folder or file `to`, and return what of it was left out. Raise Rejected.

    :param folder: that of the run; an output that is a link out of it is refused.
    """
    source, omitted_paths = Path(output.uri), list[str]()
    if not source.exists():
        raise Rejected([make_problem("output-gone", given=output.uri, name=output.name)])
    if not is_inside(source, folder):
        raise make_outside_error(output, os.path.realpath(source))

    def copy(scratch: Path) -> None:
        omitted_paths.extend(copy_output(source, scratch))
        if output.digest and (damage := checkpoint.validate_checkpoint(scratch)):
            raise OSError(damage.replace(str(scratch), str(source)))

    download_atomically(output, to, copy)
    return omitted_paths


def make_outside_error(output: Output, path: str) -> Rejected:
    """Return the error of an output that is a link out of the folder of its run."""
    return Rejected([make_problem("output-not-copied.outside", given=output.uri, name=output.name, place=path)])


def _list_evaluation_folders(folder: Path) -> list[Path]:
    """Return the folders of an evaluation's results and policy."""
    evaluation = log.read_evaluation(folder)
    if evaluation is None:
        return []
    folders = [Path(evaluation.results), *([Path(evaluation.policy).parent] if evaluation.policy else [])]
    return [path for path in folders if path.is_dir()]


def _list_visible_paths(folder: Path) -> list[Path]:
    """Return the paths in a folder, without links and names that begin with a dot."""
    try:
        paths = [Path(entry.path) for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(path for path in paths if not path.is_symlink())


def _make_output(path: Path) -> Output:
    """Return a file or folder as an output."""
    size: int | None = None
    with suppress(OSError):  # it is being written or removed
        parts = [path] if path.is_file() else path.rglob("*")
        size = sum(part.stat().st_size for part in parts if part.is_file() and (part == path or not part.is_symlink()))
    name = f"{path.parent.name}/{path.name}"
    return Output(name=name, kind="file", source="local_path", uri=os.path.abspath(path), size=size)
