"""What identifies a model by its bytes alone, whichever run saved it, and under which name."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime import checkpoint
from robotrain_runtime.checkpoint import MANIFEST, Manifest
from robotrain_runtime.publish import lineage_file

BESIDE = frozenset({MANIFEST, lineage_file.NAME, "README.md"})
"""What lies beside a model to say something of it, and comes and goes as it is copied."""


def of(manifest: Manifest) -> str:
    """64 hex digits over the files of the model in what is sealed; empty when it names none of them."""
    within = f"{manifest.model}/" if manifest.model else ""
    paths = {path.removeprefix(within): digest for path, digest in manifest.files.items() if path.startswith(within)}
    return _of(paths)


def of_folder(folder: Path) -> str:
    """Likewise of a model that lies in a folder. Raises OSError."""
    return _of(checkpoint.digests(folder))


def of_files(files: Mapping[str, Path]) -> str:
    """Likewise of files by their paths in the model; they may be links. Raises OSError."""
    return _of({path: checkpoint.digest_of(file) for path, file in files.items()})


def _of(files: Mapping[str, str]) -> str:
    own = {path: digest for path, digest in files.items() if _counts(path)}
    total = hashlib.sha256()
    for path, digest in sorted(own.items()):
        total.update(f"{digest} {path}\n".encode())
    return total.hexdigest() if own else ""


def _counts(path: str) -> bool:
    """Hidden files are left by whatever brought the model."""
    return path not in BESIDE and not any(part.startswith(".") for part in path.split("/"))
