"""A run that was interrupted: what its program continues from, and what the attempt before left in the outputs."""

from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import Folders, JobDocument
from robotrain_runtime.contract.event import Note, emit_note

from robotrain_workloads.command import program_checkpoint, program_spec
from robotrain_workloads.command.checkpoint_follower import CompletionRule
from robotrain_workloads.command.checkpoint_pattern import CheckpointPattern, find_usual_pattern
from robotrain_workloads.command.parameters import RESUME_LINE, is_continued
from robotrain_workloads.command.program_spec import ProgramSpec

KEEP_WORK = f"{RESUME_LINE}, or --resume-in-place, continues from it"


class ResumePoint(NamedTuple):
    """What a program continues from."""

    folder: Path | None
    """The checkpoint's folder; None to start from the beginning."""
    path: Path | None
    """What `{resume}` stands for: a folder or a file."""
    notes: tuple[Note, ...]


def find_resume_point(document: JobDocument, data: Folders, checkpoint_folder: Path, outputs: Path) -> ResumePoint:
    """Return what the program continues from: the run's last complete checkpoint, or the one that was given.

    Raise OSError.
    """
    parameters, pattern = document.parameters, document.parameters["checkpoints"]
    point, notes = checkpoint.find_resume_point(checkpoint_folder, run=document.run, job=document.job)
    resume_folder = next((folder for source, folder in data.items() if source.role == "resume"), None)
    folder = point[1] if point else resume_folder
    if folder is None:
        return ResumePoint(None, None, notes)
    pattern_text = str(pattern or "")
    if point and not is_continued(parameters, document.trainer_args):
        note = (
            f"the program starts again from the beginning, unless it reads $ROBOTRAIN_RESUME: an earlier attempt saved"
            f" step {point[0]}; {KEEP_WORK}"
        )
        warnings = (note for note in notes if note.level == "warning")
        notes = (*warnings, Note(level="warning", text=note))
    location = program_checkpoint.find_place(folder, pattern_text) if parameters["resume_in_place"] else None
    path = program_checkpoint.get_resume_path(folder, pattern_text)
    if location:
        path = outputs / (path.relative_to(folder) if location.has_all_outputs else location.path)
    return ResumePoint(folder, path, notes)


def prepare_outputs(spec: ProgramSpec) -> None:
    """Make the outputs ready for the program: what an earlier attempt left there is told apart, and nothing is removed.

    A program that continues finds its files and its complete checkpoints; one that starts from the beginning finds
    nothing. Raise OSError.
    """
    outputs = Path(spec.outputs)
    pattern = str(spec.values["checkpoints"] or "")
    pattern = pattern or find_usual_pattern(outputs)
    Path(spec.work, program_spec.REPORT_FILE).unlink(missing_ok=True)
    is_repeated = outputs.is_dir() and any(outputs.iterdir())
    if is_repeated and not (spec.resume and is_continued(spec.values, spec.arguments)):
        moved_folder = _move_outputs(outputs)
        reason = "" if spec.resume else "no checkpoint of an earlier attempt is complete: the program starts again; "
        ways = "" if spec.resume or pattern else "; --checkpoints PATTERN keeps its work"
        emit_note(f"{reason}what was in {{outputs}} is now in {moved_folder}{ways}", "warning")
    elif is_repeated and pattern:
        _set_unused_aside(spec, pattern)
    outputs.mkdir(parents=True, exist_ok=True)
    if spec.resume and spec.values["resume_in_place"]:
        folder = Path(spec.resume)
        if location := program_checkpoint.find_place(folder, pattern):
            is_own = folder.is_relative_to(spec.checkpoints)  # others may be of another run, or in the cache
            program_checkpoint.restore_checkpoint(folder, location, outputs, is_linked=is_own)
        else:
            emit_note(f"{folder} is not put back: it was not saved below {{outputs}}", "warning")
    if name := spec.values.get("output_folder"):
        _link_outputs(Path(spec.folder, str(name)), outputs)


def _link_outputs(path: Path, outputs: Path) -> None:
    """Let the program find the outputs in a folder of its own; what its code has there is set aside."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        program_checkpoint.move_aside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outputs.absolute(), target_is_directory=True)


def _move_outputs(outputs: Path) -> Path:
    number = 1
    while (moved_folder := outputs.with_name(f"{outputs.name}.attempt-{number}")).exists():
        number += 1
    outputs.rename(moved_folder)
    return moved_folder


def _set_unused_aside(spec: ProgramSpec, pattern: str) -> None:
    """Rename the checkpoints in the outputs that nobody may take for whole, or that the program is about to save again.

    A killed program may not have completed those that the run does not have.
    """
    outputs = Path(spec.outputs)
    last_name = Path(spec.resume).name
    rule = CompletionRule.parse(str(spec.values["checkpoint_complete"]))
    last_step = int(last_name) if last_name.isdecimal() else -1
    for name, step in list(CheckpointPattern(pattern).find_checkpoints(outputs)):
        path, reason = outputs / name, ""
        signature = program_checkpoint.read_signature(path)
        is_whole = rule.kind != "quiet" and rule.is_complete(path, signature, quiet=0.0, is_new=True)
        if program_checkpoint.is_kept(path, Path(spec.checkpoints, f"{step:06}")):
            continue
        if not signature or not is_whole:
            reason = "was not complete when the attempt before ended"
        elif step > last_step and not spec.values["resume_in_place"]:
            reason = f"is newer than the checkpoint that the program continues from, of step {last_step}"
        if reason:
            emit_note(f"{path} {reason}: it is kept as {program_checkpoint.move_aside(path).name}, not used", "warning")
