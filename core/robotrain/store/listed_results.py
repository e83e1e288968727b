"""Results of ended runs for `robotrain runs`, stored beside their records, so that no log is read again.

The platform of a run on this machine is not queried either, as long as the run's events have not changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.model.run import Status
from robotrain.model.scores import format_conditions, format_winner
from robotrain.store import files, records

if TYPE_CHECKING:
    from robotrain.model.progress import Progress

ENDED_FILE = "listed.json"
SCHEMA = 4
"""To be increased with each change of what is listed of the same events."""


class ListedProgress(NamedTuple):
    """How far a run is, as the list shows it."""

    step: int | None = None
    total: int | None = None
    unit: str = "step"
    loss: float | None = None
    scores: Mapping[str, float] = {}
    conditions: str = ""
    validation: float | None = None
    """The newest loss on held-out data."""
    winner: str = ""
    """Of a comparison its answer, of a sweep by a metric of its own the best score, as a cell."""
    digest: str = ""
    """Of the policy that was evaluated; empty if it is not known."""


class EndedRun(NamedTuple):
    """What is stored of an ended run."""

    status: Status
    progress: ListedProgress
    is_settled: bool
    """Whether the status is still the run's; otherwise its platform is to be asked."""


def summarize_progress(progress: Progress) -> ListedProgress:
    """Return what the list shows: the newest loss; the scores of the evaluation, or before its end the newest one."""
    main_metric = progress.main_metric
    newest_value = progress.curve[-1][1] if progress.curve else None
    scores: Mapping[str, float] = progress.evaluated.scores if progress.evaluated else {}
    validated = progress.get_points(progress.validation_metric.name) if progress.validation_metric else []
    if not progress.evaluated and main_metric and main_metric.kind in ("score", "curve") and newest_value is not None:
        scores = {main_metric.name: newest_value}
    return ListedProgress(
        progress.step,
        progress.total,
        progress.unit,
        newest_value if main_metric and main_metric.kind == "loss" else None,
        scores,
        format_conditions(progress.evaluated) if progress.evaluated else "",
        validated[-1][1] if validated else None,
        format_winner(progress.evaluated) if progress.evaluated else "",
        progress.evaluated.digest if progress.evaluated else "",
    )


def identify_file(path: str | Path) -> list[Any]:
    """Return a fingerprint that changes with every change of a file. Raise OSError."""
    status = os.stat(path)
    return [str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]


def store_ended_run(run: str, status: Status, progress: ListedProgress, file: list[Any] | None) -> None:
    """Store how a run ended, if its folder can be written.

    :param file: the events that settle it, as they were before they were read (`identify_file`); None if nothing does.
    """
    data = {"schema": SCHEMA, "status": dataclasses.asdict(status), "progress": progress._asdict(), "file": file}
    with contextlib.suppress(OSError):
        files.write_checked_json(records.get_run_folder(run) / ENDED_FILE, data)


def read_ended_run(run: str) -> EndedRun | None:
    """Return what is stored of an ended run; None if there is nothing, or its events are not there any more."""
    try:
        data = files.read_checked_json(records.get_run_folder(run) / ENDED_FILE)
        if data["schema"] != SCHEMA:
            return None
        file = data["file"]
        is_settled = file is not None and identify_file(file[0]) == file
        return EndedRun(Status(**data["status"]), ListedProgress(**data["progress"]), is_settled)
    except (OSError, ValueError, LookupError, TypeError):
        return None
