"""The layout of a published checkpoint in a repository: the model at its root, all else as in the checkpoint.

So every program that loads a policy of the Hub loads it, and a training continues from it. The manifest names the paths
of the checkpoint. Standard library only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.failure import PermanentError

CARD = "README.md"
ATTRIBUTES = ".gitattributes"
FREE_FILES = frozenset({ATTRIBUTES, ".gitignore", CARD, "LICENSE", "LICENSE.md", "NOTICE"})
"""Files beside which a run may publish to a branch that belongs to nobody."""
MAX_CLEANED_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFiles:
    """The files of a checkpoint as they are in a repository."""

    manifest: CheckpointManifest
    """Of the files as they are there."""
    paths: Mapping[str, str]
    """The path in the repository, by the path in the checkpoint."""
    contents: Mapping[str, bytes] = field(default_factory=dict)
    """Of the files that differ from those on this machine, by the path in the checkpoint."""


def map_paths(manifest: CheckpointManifest) -> dict[str, str]:
    """Return the path in the repository of each file, by its path in the checkpoint. Raise PermanentError."""
    prefix = f"{manifest.model}/" if manifest.model else ""
    paths = {path: path.removeprefix(prefix) for path in manifest.files}
    reserved = {MANIFEST, ATTRIBUTES}
    if len(set(paths.values())) < len(paths) or not reserved.isdisjoint(paths.values()):
        raise PermanentError("its model has a file with the name of another file of the repository")
    return paths


def arrange_checkpoint(
    folder: Path, manifest: CheckpointManifest, path_files: Mapping[str, str | None]
) -> PublishedFiles:
    """Return the files of a sealed checkpoint for a repository, without paths of this machine.

    Raise OSError, PermanentError.

    :param path_files: by a pattern of JSON files, what stands in place of such paths in them.
    """
    contents: dict[str, bytes] = {}
    for path in manifest.files:
        for pattern, replacement in path_files.items():
            if fnmatchcase(path, pattern):
                original_bytes = (folder / path).read_bytes()
                if (replaced_bytes := replace_machine_paths(original_bytes, replacement)) != original_bytes:
                    contents[path] = replaced_bytes
                break
    files = {**manifest.files, **{path: checkpoint.hash_bytes(file_bytes) for path, file_bytes in contents.items()}}
    return PublishedFiles(manifest=replace(manifest, files=files), paths=map_paths(manifest), contents=contents)


def replace_machine_paths(file_bytes: bytes, replacement: str | None) -> bytes:
    """Return JSON with another value in place of each absolute path; anything else as it is."""
    if len(file_bytes) > MAX_CLEANED_BYTES:
        return file_bytes
    try:
        json_value = json.loads(file_bytes)
    except (ValueError, RecursionError):
        return file_bytes
    cleaned = _replace_paths(json_value, replacement)
    return file_bytes if cleaned == json_value else (json.dumps(cleaned, indent=4) + "\n").encode()


def _replace_paths(value: Any, replacement: str | None) -> Any:
    if isinstance(value, dict):
        return {name: _replace_paths(child, replacement) for name, child in value.items()}
    if isinstance(value, list):
        return [_replace_paths(child, replacement) for child in value]
    return replacement if checkpoint.is_machine_path(value) else value
