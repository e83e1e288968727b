"""What `{resume}` stands for: a checkpoint's folder, its single file, or one of the files that a program wrote.

All outputs of a program are its checkpoint where it saved none that is known. A folder of them is nothing that the
program can open: `--checkpoints` says which of them it saved as a checkpoint.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract import checkpoint

from robotrain_workloads.command import checkpoint_pattern, placeholders, program_checkpoint
from robotrain_workloads.command.checkpoint_pattern import WEIGHTS

RESUME = f"{{{placeholders.RESUME}}}"
MAX_FILES = 2
"""How many files a message suggests."""


class UnclearCheckpoint(NamedTuple):
    """A checkpoint that does not say which of its files a program continues from."""

    title: str
    files: str
    """What it has, in words."""
    ways: tuple[tuple[str, str], ...]
    """The options that say it, each with a remark."""


def get_resume_path(folder: Path, pattern: str | None) -> Path:
    """Return what the program continues from, given the folder of a checkpoint of the run."""
    location = program_checkpoint.read_place(folder)
    if location is None and pattern:
        location = program_checkpoint.find_place(folder, pattern)
    if location is None:
        return folder
    if location.has_all_outputs:
        return folder / checkpoint_pattern.find_newest(pattern or "", folder)
    files = program_checkpoint.list_files(folder) if location.is_file else ()
    return folder / files[0] if files else folder


def find_unclear(folder: Path, pattern: str | None, words: Sequence[str]) -> UnclearCheckpoint | None:
    """Return what is unclear about a checkpoint for a program that gets these arguments; None if nothing is."""
    location = program_checkpoint.read_place(folder)
    if location is None or not location.has_all_outputs or not any(word.endswith(RESUME) for word in words):
        return None
    if checkpoint_pattern.find_newest(pattern or "", folder):
        return None
    paths = program_checkpoint.list_files(folder)
    title = f"{RESUME} would be a folder of files that the program wrote, not a checkpoint that it saved"
    return UnclearCheckpoint(title, checkpoint_pattern.describe_paths(paths), tuple(_list_ways(folder, paths, words)))


def find_newest_file(folder: Path, pattern: str | None) -> tuple[str, str] | None:
    """Return the option by which a folder of all that a program wrote stands for the newest of its similar files, and
    that file; None for any other checkpoint, and where that is said.
    """
    location = program_checkpoint.read_place(folder)
    if location is None or not location.has_all_outputs or checkpoint_pattern.find_newest(pattern or "", folder):
        return None
    guess = checkpoint_pattern.guess_pattern(program_checkpoint.list_files(folder))
    newest_path = checkpoint_pattern.find_newest(guess, folder) if guess else ""
    return (f"--checkpoints {shlex.quote(guess)}", newest_path) if newest_path else None


def _list_ways(folder: Path, paths: Sequence[str], words: Sequence[str]) -> Iterator[tuple[str, str]]:
    if pattern := checkpoint_pattern.guess_pattern(paths):
        newest_path = checkpoint_pattern.find_newest(pattern, folder)
        arguments = _format_arguments(words, "")
        yield f"--checkpoints {shlex.quote(pattern)} {arguments}", f"{RESUME} is the newest of them, {newest_path}"
    elif saved_folder := _find_saved_before(folder):
        arguments = _format_arguments(words, "")
        yield f"--resume-from {shlex.quote(str(saved_folder))} {arguments}", "the last that it saved as a checkpoint"
    else:
        files = [path for path in paths if path.lower().endswith(WEIGHTS)] or paths
        for path in files[:MAX_FILES]:
            yield _format_arguments(words, f"/{path}"), ""
    yield _format_arguments(words, "/"), "the program opens the folder"


def _find_saved_before(folder: Path) -> Path | None:
    """Return the last checkpoint beside this one that the program saved itself; None if there is none."""
    folders = [path for _, path in checkpoint.list_checkpoints(folder.parent)]
    places = [(path, program_checkpoint.read_place(path)) for path in folders]
    return next((path for path, location in places if location and not location.has_all_outputs), None)


def _format_arguments(words: Sequence[str], subpath: str) -> str:
    """Return the option for the arguments with a path below the checkpoint."""
    named_words = [word + subpath if word.endswith(RESUME) else word for word in words]
    return f"--resume-args {shlex.quote(json.dumps(named_words))}"
