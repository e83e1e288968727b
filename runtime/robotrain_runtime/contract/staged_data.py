"""Data that was fetched before the job was sent, for a node without a network: `staged.json` in the run's folder.

It says which folder of the shared cache has each source. The run then uses them as they are, and asks no service.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, Mount, collect_fields
from robotrain_runtime.contract.document_limits import MAX_STAGED_BYTES
from robotrain_runtime.contract.files import read_limited_file, write_atomically
from robotrain_runtime.contract.json_values import convert_json, parse_json

STAGED_FILE = "staged.json"


@dataclass(frozen=True, kw_only=True)
class StagedMount(Mount):
    """A source that was fetched into the cache before the job was sent."""

    digest: str = ""
    """Identifies its content and its names; empty if unknown."""


def write_staged(folder: Path, mounts: Iterable[StagedMount]) -> None:
    """Write where the sources of a run are. Raise OSError."""
    mounts_json = json.dumps({"mounts": list(mounts)}, indent=1, sort_keys=True, default=collect_fields)
    write_atomically(folder / STAGED_FILE, f"{mounts_json}\n".encode())


def add_staged_mounts(document: JobDocument) -> JobDocument:
    """Return the document with the mounts that the run's folder lists. Raise ValueError, OSError.

    What is no longer in the cache is left out: the run fetches it like any other source.
    """
    try:
        staged_bytes = read_limited_file(Path(document.placement.work, STAGED_FILE), MAX_STAGED_BYTES)
    except FileNotFoundError:
        return document
    present_mounts = tuple(mount for mount in parse_staged(staged_bytes) if Path(mount.folder).is_dir())
    mounts = (*document.placement.mounts, *present_mounts)
    return replace(document, placement=replace(document.placement, mounts=mounts))


def parse_staged(staged_bytes: bytes) -> tuple[StagedMount, ...]:
    """Return the mounts in a file that `write_staged` wrote. Raise ValueError."""
    errors: list[str] = []
    staged_object = parse_json(staged_bytes)
    mounts = staged_object.get("mounts") if isinstance(staged_object, dict) else None
    mounts = convert_json(tuple[StagedMount, ...], mounts, "mounts", errors)
    if errors:
        raise ValueError(f"{STAGED_FILE} is damaged: {'; '.join(errors)}")
    return tuple(mounts)
