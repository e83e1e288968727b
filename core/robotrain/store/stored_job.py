"""What is stored beside the record of a run about its job, read without the rest of its plan (`plans.py` writes it)."""

from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobSource

from robotrain.store import files, records
from robotrain.store.written_files import PLAN_FILE as MANIFEST_FILE

SCHEMA = 2
"""The format of the manifest, to be increased with each change that readers of the values or files depend on."""
PLAN_FOLDER = "plan"
DIFFERENCE_FILE = "code.diff"
"""Beside the manifest: how the code of the job differs from its commit, as `git diff` prints it."""


def get_plan_folder(run: str) -> Path:
    """Return the folder of a run's plan."""
    return records.get_run_folder(run) / PLAN_FOLDER


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a plan. Raise OSError, ValueError, KeyError or TypeError."""
    data: dict[str, Any] = files.read_json(folder / MANIFEST_FILE)
    if data["schema"] != SCHEMA:
        raise ValueError("another robotrain wrote it, in its own format")
    return data


def read_stored_sources(run: str) -> tuple[JobSource, ...]:
    """Return the sources of a run's job without reading the rest of the plan; none if it is missing.

    They are read in any format, also a later one: what a run was started from is not removed.
    """
    try:
        source_rows = files.read_json(get_plan_folder(run) / MANIFEST_FILE)["job"]["sources"]
        return tuple(
            JobSource(
                role=row["role"],
                kind=str(row["kind"]),
                uri=str(row["uri"]),
                pin=str(row.get("pin", "")),
                tags=tuple(map(str, row.get("tags", ()))),
                implied=bool(row.get("implied")),
            )
            for row in source_rows
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def read_stored_values(run: str) -> list[dict[str, Any]]:
    """Return the values of a run's job without reading the rest of the plan; none if it is missing."""
    try:
        rows = read_manifest(get_plan_folder(run))["values"]
        return [row for row in rows if {"name", "value"} <= row.keys()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
