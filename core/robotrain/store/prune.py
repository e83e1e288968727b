"""Old runs: which may be removed, and removing their records. Names are never given to another run.

A run that goes on, or of which nobody can say it, stays; so does one that a run which stays was started from. A name
is never given to another run: a platform, a tracking server or a registry may still know it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Rejected, Stage
from robotrain.store import name_lock, records

if TYPE_CHECKING:
    from robotrain.model.run import Status

STORED_MANIFEST = "plan/robotrain-plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneCandidate:
    """What is known of a run. status: None when its platform does not say; why is then the reason.

    gone: its platform does not know it. cut_off: its submit was. outputs: the printed forms of what it left.
    """

    run: str
    created: float
    status: Status | None = None
    reason: str = ""
    gone: bool = False
    interrupted: bool = False
    outputs: tuple[str, ...] = ()

    @property
    def end_time(self) -> float:
        """When, in seconds since the epoch; when it was sent, where nobody saw its end."""
        return (self.status.ended if self.status else None) or self.created


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """Which runs go, and which of the old ones stay, with the reason."""

    removed: tuple[PruneCandidate, ...]
    kept_reasons: Mapping[str, str]


def select_old_runs(runs: Sequence[str], created: Mapping[str, float], *, before: float | None, keep: int) -> list[str]:
    """Of `runs`, newest first, those that may be old enough: beyond the newest `keep`, and sent before a moment."""
    return [run for run in runs[keep:] if before is None or created.get(run, 0.0) < before]


def plan_pruning(
    candidates: Iterable[PruneCandidate], started_from: Mapping[str, Sequence[str]], *, before: float | None
) -> PrunePlan:
    """What goes of the runs that may be old enough; pure.

    started_from: of every run that is recorded, the printed forms of its sources. before: only those that ended then.
    """
    staying: dict[str, str] = {}
    going: dict[str, PruneCandidate] = {}
    for one in candidates:
        if reason := _explain_unfinished(one):
            staying[one.run] = reason
        elif before is None or one.gone or one.end_time < before:
            going[one.run] = one
    while held_back := dict(
        _find_needed_runs(going, started_from)
    ):  # what stays may have been started from what would go
        for run, by in held_back.items():
            del going[run]
            staying[run] = f"{by} was started from it"
    return PrunePlan(removed=tuple(going.values()), kept_reasons=staying)


def read_source_uris(run: str) -> list[str]:
    """The printed forms of what a run was started from, by its kept plan; none when that is not there any more."""
    try:
        job = json.loads((records.get_run_folder(run) / STORED_MANIFEST).read_text(encoding="utf-8"))["job"]
        return [str(source["uri"]) for source in job["sources"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def remove_record(run: str) -> None:
    """Remove what is kept of a run here; its name stays taken. Raises Rejected when it is being sent, OSError."""
    home = records.get_run_folder(run)
    with records.report_write_errors():
        held = name_lock.acquire_name_lock(home)
        if held is None:
            raise Rejected([Problem(code="run-being-sent", stage=Stage.SUBMIT, title=f"{run} is being sent just now")])
        with held:
            (home / records.REMOVED_FILE).touch()
            (home / records.RECORD_FILE).unlink(missing_ok=True)
            for path in home.iterdir():
                if path.name not in (records.REMOVED_FILE, records.LOCK_FILE):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _explain_unfinished(one: PruneCandidate) -> str:
    """Why nobody may remove it; empty when it is over."""
    if one.gone:
        return ""
    if one.status is None:
        return one.reason or "its platform does not say how it is"
    return "" if one.status.finished else f"it is {one.status.state}"


def _find_needed_runs(
    going: Mapping[str, PruneCandidate], started_from: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Runs that would go and that one which stays was started from, beside that one."""
    wanted = [(run, uri) for run, uris in started_from.items() if run not in going for uri in uris]
    for one in going.values():
        if by := next((run for run, uri in wanted if any(_overlaps(uri, output) for output in one.outputs)), None):
            yield one.run, by


def _overlaps(uri: str, output: str) -> bool:
    """Whether one is the other, or lies in it."""
    uri, output = uri.rstrip("/"), output.rstrip("/")
    return uri == output or uri.startswith(f"{output}/") or output.startswith(f"{uri}/")
