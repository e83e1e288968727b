"""Outputs in a run's folder: complete checkpoints, files, evaluation results; and copying them."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robotrain_runtime.contract import checkpoint

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Output
from robotrain.run_folder import log

SEALED_PATTERN = f"*/*/*/{checkpoint.MANIFEST}"


@dataclass(frozen=True, slots=True)
class FolderCheckpoint:
    """A complete checkpoint. model: the part of it that is the model. digest: empty when it was never sealed."""

    step: int
    folder: Path
    model: str
    digest: str


def list_checkpoints(folder: Path) -> list[FolderCheckpoint]:
    """Those the run of `folder` told of or sealed, and that are still there; oldest first."""
    said = {Path(event.path): event for event in log.read_checkpoint_events(folder)}
    sealed = (manifest.parents[1] for manifest in folder.glob(SEALED_PATTERN))  # one may be sealed and not told of
    found = []
    for parent in dict.fromkeys([*(path.parent for path in said), *sealed]):
        for step, path in checkpoint.list_checkpoints(parent):
            manifest = checkpoint.read_manifest(path)
            if manifest and (manifest.run == folder.name or path in said):
                found.append(FolderCheckpoint(step, path, manifest.model, manifest.digest))
            elif path in said:
                found.append(FolderCheckpoint(step, path, said[path].model, ""))
    return sorted(found, key=lambda kept: kept.step)


def describe_surviving_checkpoints(folder: Path) -> Iterator[str]:
    """What to go on from, a sentence each without its full stop: the last that is sealed, and one told of after it."""
    kept = list_checkpoints(folder)
    if sealed := [each for each in kept if each.digest]:
        yield f"Its last sealed checkpoint, of step {sealed[-1].step}, is at {sealed[-1].folder}"
    if kept and kept[-1:] != sealed[-1:]:
        yield f"Its last checkpoint, of step {kept[-1].step}, is at {kept[-1].folder}; it was not sealed, so look at it"


RUNTIME_FILES = (log.LOG_FILE, log.EVENTS_FILE, log.OUTCOME_FILE, log.JOB_FILE)

OUTPUTS_FOLDER = "outputs"
CHECKPOINTS_FOLDER = "checkpoints"


def list_outputs(folder: Path) -> Iterator[Output]:
    """The checkpoints, oldest first, then what the runtime wrote, then what else lies in the work's own folder."""
    found = list_checkpoints(folder)
    for each in found:
        name = f"{each.folder.parent.name}/{each.folder.name}"
        yield _make_output(name, "checkpoint", each.folder, step=each.step, model=each.model, digest=each.digest)
    yield from (_make_output(name, "file", folder / name) for name in RUNTIME_FILES if (folder / name).is_file())
    taken = {each.folder for each in found} | {each.folder.parent for each in found}
    for place in dict.fromkeys([folder / OUTPUTS_FOLDER, *(_get_work_folder(each.folder.parent) for each in found)]):
        left = [path for path in _list_visible_paths(place) if path not in taken]
        taken.update(left)
        yield from map(_make_file_output, left)
    yield from (_make_file_output(path) for path in _list_evaluation_folders(folder) if path not in taken)


def download_output(output: Output, to: Path) -> None:
    """Copy an output to the new folder or file `to`, which is whole as soon as it is there. Raises Rejected."""
    source = Path(output.uri)
    if not source.exists():
        raise Rejected([_make_problem("output-gone", f"{output.name} is not there any more", output.uri)])
    if os.path.lexists(to):
        way = Suggestion("a name that is free", "nothing is ever written over")
        raise Rejected([_make_problem("output-exists", "there is something of that name already", str(to), "", way)])
    scratch = to.with_name(f".{to.name}.{os.urandom(4).hex()}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        _copy_path(source, scratch)
        if output.digest and (wrong := checkpoint.validate_checkpoint(scratch)):
            raise OSError(wrong.replace(str(scratch), str(source)))
        os.rename(scratch, to)
    except OSError as error:  # shutil.Error is one
        raise Rejected(
            [_make_problem("output-not-copied", f"{output.name} could not be copied", str(to), _explain_error(error))]
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.unlink(missing_ok=True)


def _get_work_folder(parent: Path) -> Path:
    """The work's own folder, of that of its checkpoints."""
    return parent.parent if parent.name == CHECKPOINTS_FOLDER else parent


def _list_evaluation_folders(folder: Path) -> list[Path]:
    """The results of an evaluation, and what holds the policy, wherever they lie."""
    told_of = log.read_evaluation(folder)
    if told_of is None:
        return []
    found = [Path(told_of.results), *([Path(told_of.policy).parent] if told_of.policy else [])]
    return [path for path in found if path.is_dir()]


def _list_visible_paths(place: Path) -> list[Path]:
    """What lies there by its own name; what begins with a dot is not ready, or nobody's business."""
    try:
        found = [Path(entry.path) for entry in os.scandir(place) if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(path for path in found if not path.is_symlink())


def _make_file_output(path: Path) -> Output:
    return _make_output(f"{path.parent.name}/{path.name}", "file", path)


def _make_output(
    name: str,
    kind: Literal["checkpoint", "file"],
    path: Path,
    step: int | None = None,
    model: str = "",
    digest: str = "",
) -> Output:
    return Output(
        name=name,
        kind=kind,
        source="local_path",
        uri=os.path.abspath(path),
        step=step,
        model=model,
        digest=digest,
        size=_measure_size(path),
    )


def _measure_size(path: Path) -> int | None:
    try:
        if path.is_file():
            return path.stat().st_size
        return sum(part.stat().st_size for part in path.rglob("*") if part.is_file() and not part.is_symlink())
    except OSError:  # it is being written, or taken away
        return None


def _copy_path(source: Path, scratch: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, scratch)
    else:
        shutil.copy2(source, scratch)


def _explain_error(error: OSError) -> str:
    first = error.args[0][0] if isinstance(error, shutil.Error) and error.args and error.args[0] else None
    return f"{(first[2] if first else error.strerror or error)}."


def _make_problem(code: str, title: str, given: str, why: str = "", *instead: Suggestion) -> Problem:
    return Problem(code=code, stage=Stage.SUBMIT, title=title, given=given, why=why, suggestions=instead)
