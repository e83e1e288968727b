"""`--checkpoints PATTERN`: where a program saves checkpoints below its outputs, and which of them are there."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

STEP = "{step}"
STEP_PATTERN = r"(?<![0-9])(?P<step>[0-9]{1,15})(?![0-9])"
ANY_FOLDERS = "**"
LISTED = 4
"""How many of the files that are there a message names."""
USUAL = (
    "**/checkpoint-{step}",
    "**/checkpoints/{step}",
    "**/*step*_{step}*",
    "**/*step={step}*",
    "**/*_{step}_steps*",
    "**/checkpoint_{step}*",
)
"""Where programs save checkpoints, for a job that does not say it; the first that finds one counts."""
USUAL_IF_SEVERAL = ("**/model_{step}.*", "**/model-{step}.*", "**/ckpt_{step}.*", "**/ckpt-{step}.*")
"""Others, of which one alone may have another number in its name than the step."""
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".npz", ".msgpack", ".h5", ".keras", ".onnx", ".zip")
"""How the names of files with weights end: `sample_step_100.png` is no checkpoint."""


class CheckpointPattern:
    """A path with `{step}`; `*` stands for letters in a name, `**` for any folders. Hidden names and links match none.

    Only the folders along the pattern are listed.
    """

    def __init__(self, text: str) -> None:
        self._parts = text.split("/")
        self._expressions = [_compile(part) for part in self._parts]

    def find_checkpoints(self, outputs: Path) -> Iterator[tuple[str, int]]:
        """Yield the path, below `outputs`, and the step of each file or folder of the pattern."""
        seen_paths = set[str]()
        for path, step in self._match_parts(str(outputs), "", 0, None):
            if path not in seen_paths:  # `**` finds one in several ways
                seen_paths.add(path)
                yield path, step

    def match_name(self, name: str) -> int | None:
        """Return the step in the last name of a path; None if it is not of the pattern, or has no step."""
        expression = self._expressions[-1]
        match = expression.fullmatch(name) if expression else None
        return int(match["step"]) if match and STEP in self._parts[-1] else None

    @property
    def fixed_parent(self) -> str | None:
        """The folder of the checkpoints below the outputs; None if the pattern does not say it."""
        parent_parts = self._parts[:-1]
        return None if any("*" in part or STEP in part for part in parent_parts) else "/".join(parent_parts)

    def _match_parts(self, top: str, path: str, number: int, step: int | None) -> Iterator[tuple[str, int]]:
        if number == len(self._parts):
            if step is not None:
                yield path, step
            return
        pattern_part = self._parts[number]
        expression = self._expressions[number]
        is_last = number + 1 == len(self._parts)
        if pattern_part == ANY_FOLDERS:
            yield from self._match_parts(top, path, number + 1, step)
            for entry in _list_entries(top, path):
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    yield from self._match_parts(top, _join(path, entry.name), number, step)
        elif expression is None:
            if not is_last or (
                os.path.exists(full_path := f"{top}/{_join(path, pattern_part)}") and not os.path.islink(full_path)
            ):
                yield from self._match_parts(top, _join(path, pattern_part), number + 1, step)
        else:
            for entry in _list_entries(top, path):
                match = expression.fullmatch(entry.name)
                if match and not entry.is_symlink() and (is_last or entry.is_dir()):
                    entry_step = int(match["step"]) if STEP in pattern_part else step
                    yield from self._match_parts(top, _join(path, entry.name), number + 1, entry_step)


def find_usual_pattern(outputs: Path) -> str:
    """Return the usual pattern by which a program saves checkpoints; empty while there are none.

    One by which a step has several files is left out: nobody knows which of them is the checkpoint.
    """
    for usual_pattern in (*USUAL, *USUAL_IF_SEVERAL):
        checkpoints = list_with_weights(usual_pattern, outputs)
        is_clear = len(checkpoints) > (1 if usual_pattern in USUAL_IF_SEVERAL else 0)
        if is_clear and len({step for _, step in checkpoints}) == len(checkpoints):
            return usual_pattern
    return ""


def list_with_weights(pattern: str, outputs: Path) -> list[tuple[str, int]]:
    """Return the path and step of each file or folder of a pattern that has weights."""
    return [
        checkpoint
        for checkpoint in CheckpointPattern(pattern).find_checkpoints(outputs)
        if has_weights(outputs / checkpoint[0])
    ]


def has_weights(path: Path) -> bool:
    """Return whether a file has weights, by its name, or a folder has such a file."""
    if not path.is_dir():
        return path.suffix.lower() in WEIGHTS
    return any(file_name.lower().endswith(WEIGHTS) for _, _, file_names in os.walk(path) for file_name in file_names)


def _compile(part: str) -> re.Pattern[str] | None:
    """Return the expression of a name; None if it is a text."""
    if part == ANY_FOLDERS or (STEP not in part and "*" not in part):
        return None

    def translate(piece: str) -> str:
        return STEP_PATTERN if piece == STEP else ".*" if piece.startswith("*") else re.escape(piece)

    start = r"(?!\.)" if part.startswith("*") else ""  # a hidden name begins with a point
    return re.compile(start + "".join(map(translate, re.split(r"(\{step\}|\*+)", part))), re.DOTALL)


def _list_entries(top: str, path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(f"{top}/{path}" if path else top) as entries:
            return list(entries)
    except OSError:  # it was removed, or is a file
        return []


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def describe_paths(paths: Sequence[str]) -> str:
    """Return which files there are, in words."""
    more_note = f" and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
    return ", ".join(paths[:LISTED]) + more_note if paths else "no files"


def find_newest(pattern: str, folder: Path) -> str:
    """Return the path of the checkpoint of a pattern with the highest step; empty if there is none."""
    checkpoints = CheckpointPattern(pattern).find_checkpoints(folder) if pattern else ()
    return max(checkpoints, key=lambda checkpoint: checkpoint[1], default=("", 0))[0]
