"""Output folder and environment variables that a run of LeRobot starts with."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import StageEvent

QUIET_VARIABLES = {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_COLOR": "1"}
OFFLINE_VARIABLES = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
EVENTS_FILE = "events.jsonl"


def resolve_output_folder(document: JobDocument, work: Path) -> Path:
    """Return the folder; a relative one lies below the run's own."""
    folder = document.parameters["output_dir"]
    return Path(os.path.normpath(work / str(folder or "outputs")))


def make_hub_environment(sources: Iterable[JobSource]) -> dict[str, str]:
    """Return environment variables for a job with these sources."""
    local = all(source.kind == "local_path" for source in sources)
    return {**QUIET_VARIABLES, **(OFFLINE_VARIABLES if local else {})}


def is_own_output(work: Path, output: Path) -> bool:
    """Return whether the output folder's files are the run's own: an attempt that reached its work found it empty."""
    return work in output.parents or _has_started_work(work / EVENTS_FILE)


def _has_started_work(events: Path) -> bool:
    with suppress(OSError), events.open(encoding="utf-8", errors="replace") as lines:
        return any(_is_work_stage(line) for line in lines if '"stage"' in line)
    return False


def _is_work_stage(line: str) -> bool:
    record = event.parse_event(line.rstrip("\n"))
    return record is not None and isinstance(record.event, StageEvent) and record.event.name == "work"
