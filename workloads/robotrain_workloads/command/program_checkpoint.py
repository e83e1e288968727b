"""A program's checkpoint as one of the run: a folder named after its step, with the program's files and their place.

The files are hard links where that is possible, so that they take no more space. What `{resume}` stands for, and where
a checkpoint belongs below `{outputs}`, is read from there.
"""

import errno
import json
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.files import make_atomically, read_limited_file

from robotrain_workloads.command import placeholders
from robotrain_workloads.command.checkpoint_pattern import CheckpointPattern, find_newest

RESUME = f"{{{placeholders.RESUME}}}"
PLACE_FILE = "robotrain-program.json"
"""Says where the program had saved a checkpoint, in the checkpoint's folder."""
OWN_FILES = (PLACE_FILE, MANIFEST)
OWN_SCRATCH = f".{Path(MANIFEST).stem}-"
"""What the name of a manifest begins with that a killed runtime left."""
MAX_PLACE_BYTES = 1 << 16

Signature = dict[str, tuple[int, int, int]]
"""By path, the size, the time of the last change in ns and the number of each file."""


class ChangedMeanwhile(Exception):
    """The program wrote to its checkpoint, or removed it, while it was being linked."""


@dataclass(frozen=True)
class Place:
    """Where a program saved a checkpoint."""

    path: str
    """Below the outputs; `.` if they are it; empty if it is all of them, or what is beside other checkpoints, because
    the program saved none that is known.
    """
    is_file: bool
    """Whether it is a single file."""
    is_part: bool = False
    """Whether it is only what stands beside other checkpoints."""

    @property
    def has_all_outputs(self) -> bool:
        """Whether it is what was among the outputs, and the program did not say that this is a checkpoint."""
        return not self.path


def read_signature(path: Path) -> Signature:
    """Return the signature of a checkpoint: of a file under its name, of a folder by paths in it.

    It is empty if nothing is there, or if something is removed meanwhile. Links to folders do not count.
    """
    signature: Signature = {}
    try:
        path_stat = path.lstat()
        if stat.S_ISREG(path_stat.st_mode):
            return {path.name: _get_facts(path_stat)}
        folders = [""]
        while folders:
            subfolder = folders.pop()
            with os.scandir(path / subfolder) as entries:
                for entry in entries:
                    name = f"{subfolder}/{entry.name}" if subfolder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                    elif entry.is_file() and name not in OWN_FILES and not name.startswith(OWN_SCRATCH):
                        signature[name] = _get_facts(entry.stat())
    except OSError:
        return {}
    return signature


def _get_facts(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def find_foreign_path(path: Path, outputs: Path) -> str:
    """Return what of a checkpoint is no regular file below the outputs, in words; empty if all is.

    A link counts as what it leads to; one to nothing does not count.
    """
    if not is_below(path, outputs):
        return f"{os.path.realpath(path)} is not below {{outputs}}"
    path_names = [str(path)]
    for folder, folders, files in os.walk(path):
        path_names += (os.path.join(folder, path_name) for path_name in (*folders, *files))
    for path_name in path_names:
        try:
            kind = stat.S_IFMT(os.stat(path_name).st_mode)
        except OSError:
            continue
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            return f"{path_name} is no regular file"
        if os.path.islink(path_name) and not is_below(path_name, outputs):
            return f"{path_name} is a link to {os.path.realpath(path_name)}, which is not below {{outputs}}"
    return ""


def is_below(path: Path | str, outputs: Path | str) -> bool:
    """Return whether a path, all links followed, is below the outputs, or they."""
    return Path(os.path.realpath(path)).is_relative_to(outputs)


def keep_checkpoint(path: Path, signature: Signature, target: Path, location: Place) -> None:
    """Make the run's folder `target` of a program's checkpoint; it replaces one of the same step.

    Raise ChangedMeanwhile if the files are not those of the signature any more, OSError if they cannot be kept.
    """
    with make_atomically(target, replace=True, key="save") as scratch:
        scratch.mkdir()
        for name in signature:
            source = path if location.is_file else path / name
            copy = scratch / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                name.encode()
            except UnicodeEncodeError:
                raise OSError(errno.EILSEQ, f"the name of a file is not valid Unicode: {name!r}") from None
            _link_file(source, copy)
        body = {"path": location.path, "is_file": location.is_file}
        (scratch / PLACE_FILE).write_text(json.dumps(body) + "\n", encoding="utf-8")
        current = read_signature(path)
        if {name: current.get(name) for name in (signature if location.is_part else current)} != signature:
            raise ChangedMeanwhile


def _link_file(source: Path, copy: Path) -> None:
    """Link a file, or copy it with its time. Raise ChangedMeanwhile if it is gone."""
    try:
        try:
            os.link(os.path.realpath(source), copy)
        except FileNotFoundError:
            raise
        except OSError:  # another device, or one without links
            shutil.copy2(source, copy)
    except FileNotFoundError:
        raise ChangedMeanwhile from None


def read_place(folder: Path) -> Place | None:
    """Return where the program had saved a checkpoint of a run; None for a folder of another origin."""
    try:
        place_fields = json.loads(read_limited_file(folder / PLACE_FILE, MAX_PLACE_BYTES))
        location = Place(path=str(place_fields["path"]), is_file=bool(place_fields["is_file"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_below = not os.path.isabs(location.path) and ".." not in location.path.split("/")
    return location if is_below else None


def find_place(folder: Path, pattern: str) -> Place | None:
    """Return where a checkpoint belongs below the outputs; None if neither it nor the pattern says it."""
    if location := read_place(folder):
        return location
    expected_pattern = CheckpointPattern(pattern)
    parent, files = expected_pattern.fixed_parent, list_files(folder)
    name = next((name for name in files if len(files) == 1 and expected_pattern.match_name(name) is not None), None)
    if parent is None or (name is None and expected_pattern.match_name(folder.name) is None):
        return None
    return Place(path="/".join(filter(None, [parent, name or folder.name])), is_file=name is not None)


def get_resume_path(folder: Path, pattern: str) -> Path:
    """Return what `{resume}` stands for, given the folder of a checkpoint of the run: itself, or a file of it."""
    location = read_place(folder) or (find_place(folder, pattern) if pattern else None)
    if location is None:
        return folder
    if location.has_all_outputs:
        return folder / find_newest(pattern, folder)
    files = list_files(folder) if location.is_file else ()
    return folder / files[0] if files else folder


def find_unclear_files(folder: Path, pattern: str, words: Sequence[str]) -> list[str]:
    """Return the files of a checkpoint that is all that a program wrote, where arguments name it as one that it saved.

    The program can open no such folder: the pattern, or a path behind `{resume}`, says what it saved as a checkpoint.
    """
    location = read_place(folder)
    if location is None or not location.has_all_outputs or not any(word.endswith(RESUME) for word in words):
        return []
    return [] if find_newest(pattern, folder) else list_files(folder)


def list_files(folder: Path) -> list[str]:
    """Return the paths of the program's files in a checkpoint of the run."""
    return sorted(read_signature(folder))


def is_kept(path: Path, target: Path) -> bool:
    """Return whether a checkpoint of the run has the very files of a program's checkpoint, and is sealed."""
    if checkpoint.read_manifest(target) is None:
        return False
    signature = read_signature(path)
    kept_signature = read_signature(target)
    return bool(signature) and {name: facts[:2] for name, facts in signature.items()} == {
        name: facts[:2] for name, facts in kept_signature.items()
    }


def restore_checkpoint(folder: Path, location: Place, outputs: Path, *, is_linked: bool) -> None:
    """Put a checkpoint back at its place; what is there and is another one is set aside. Raise OSError.

    :param is_linked: whether the program may share the files with it, which it may change.
    """
    target = outputs / location.path
    file_names = list_files(folder)
    provide = _link_file if is_linked else shutil.copy2
    if is_kept(target, folder):
        return
    if target == outputs:
        _restore_outputs(folder, file_names, outputs)
        return
    if os.path.lexists(target):
        move_aside(target)
    with make_atomically(target, key="restore") as scratch:
        if location.is_file:
            provide(folder / file_names[0], scratch)
            return
        for file_name in file_names:
            (scratch / file_name).parent.mkdir(parents=True, exist_ok=True)
            provide(folder / file_name, scratch / file_name)


def _restore_outputs(folder: Path, file_names: Sequence[str], outputs: Path) -> None:
    """Put copies of files back among the outputs, where a program may go on writing to them. Raise OSError."""
    for file_name in file_names:
        source, target = folder / file_name, outputs / file_name
        if os.path.lexists(target):
            if _get_facts(target.lstat())[:2] == _get_facts(source.lstat())[:2]:
                continue
            move_aside(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def move_aside(path: Path) -> Path:
    """Rename a file or folder to `.NAME.unused-N`, which no pattern finds; return the new path. Raise OSError."""
    number = 1
    while os.path.lexists(target := path.with_name(f".{path.name}.unused-{number}")):
        number += 1
    path.rename(target)
    return target
