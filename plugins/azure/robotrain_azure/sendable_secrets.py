"""A look for secrets in the small texts of a folder that is uploaded: many people read where it goes."""

import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import holds_secret

from robotrain_azure import sendable

TEXTS = ("", ".cfg", ".ini", ".json", ".jsonl", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml")
MOST = 64 << 10
"""Bytes of a file that is looked into."""


def problems(path: str, flag: str, folder: Path, stage: Stage) -> Iterator[Problem]:
    """A warning that names the files, and nothing of what they hold. path, flag, folder: as of `sendable.problems`."""
    if found := [name for name in _texts(folder) if _holds(folder / name)]:
        renamed = f"mv {shlex.quote(found[0])} {shlex.quote(_hidden(found[0]))}"
        yield Problem(
            code="upload-secret",
            stage=stage,
            title="what is uploaded holds what looks like a secret",
            where=flag,
            given=path,
            why=f"{sendable.some(found)}: whoever may read the storage can read it there.",
            instead=(Instead(renamed, "what begins with a dot stays here"),),
            severity="warning",
        )


def _hidden(name: str) -> str:
    return str(PurePosixPath(name).with_name(f".{PurePosixPath(name).name}"))


def _texts(folder: Path) -> list[str]:
    try:
        files = sendable.content(folder).files
    except OSError:  # that is told by whoever uploads it
        return []
    return [name for name, size in files.items() if size <= MOST and PurePosixPath(name).suffix.lower() in TEXTS]


def _holds(file: Path) -> bool:
    try:
        return holds_secret(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False
