"""Old runs: which may go, and removing them. A run's own files are its platform's to remove; its record is ours.

A run that goes on, or of which nobody can say it, stays; so does one that a run which stays was started from. A name
is never given to another run: a platform, a tracking server or a registry may still know it.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robotrain import cut_off, held_name, store
from robotrain.problem import Problem, Rejected, Stage
from robotrain.run import RunGone

if TYPE_CHECKING:
    from robotrain.platforms import Platform
    from robotrain.run import RunRecord, Status

PLAN = "plan/robotrain-plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a run. status: None when its platform does not say; why is then the reason.

    gone: its platform does not know it. cut_off: its submit was. outputs: the printed forms of what it left.
    """

    run: str
    created: float
    status: Status | None = None
    why: str = ""
    gone: bool = False
    cut_off: bool = False
    outputs: tuple[str, ...] = ()

    @property
    def ended(self) -> float:
        """When, in seconds since the epoch; when it was sent, where nobody saw its end."""
        return (self.status.ended if self.status else None) or self.created


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """Which runs go, and which of the old ones stay, with the reason."""

    going: tuple[Known, ...]
    staying: Mapping[str, str]


def old(runs: Sequence[str], created: Mapping[str, float], *, before: float | None, keep: int) -> list[str]:
    """Of `runs`, newest first, those that may be old enough: beyond the newest `keep`, and sent before a moment."""
    return [run for run in runs[keep:] if before is None or created.get(run, 0.0) < before]


def plan(known: Iterable[Known], started_from: Mapping[str, Sequence[str]], *, before: float | None) -> Pruning:
    """What goes of the runs that may be old enough; pure.

    started_from: of every run that is recorded, the printed forms of its sources. before: only those that ended then.
    """
    staying: dict[str, str] = {}
    going: dict[str, Known] = {}
    for one in known:
        if reason := _unfinished(one):
            staying[one.run] = reason
        elif before is None or one.gone or one.ended < before:
            going[one.run] = one
    while held_back := dict(_needed(going, started_from)):  # what stays may have been started from what would go
        for run, by in held_back.items():
            del going[run]
            staying[run] = f"{by} was started from it"
    return Pruning(going=tuple(going.values()), staying=staying)


def sources(run: str) -> list[str]:
    """The printed forms of what a run was started from, by its kept plan; none when that is not there any more."""
    try:
        job = json.loads((store.folder(run) / PLAN).read_text(encoding="utf-8"))["job"]
        return [str(source["uri"]) for source in job["sources"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def size(record: RunRecord, platform: Any) -> int | None:
    """The bytes that removing a run would free; None when its platform keeps its files to itself. Raises Rejected."""
    forget = getattr(platform, "forget", None)
    return forget(record.reference, dry_run=True) if forget else None


def remove(record: RunRecord, platform: Platform) -> int | None:
    """Remove a run: first what its platform keeps, then its record; so one that was cut off is found again.

    The bytes that are free then; None when its platform keeps its files to itself. Raises Rejected, OSError.
    """
    freed: int | None = 0
    if record.phase == "sending":
        return _never_taken(record, platform)
    with contextlib.suppress(RunGone):
        status = platform.status(record.reference)
        if not status.finished:
            title = f"{record.run} is {status.state}, so it is left alone"
            raise Rejected([Problem(code="run-goes-on", stage=Stage.SUBMIT, title=title)])
        forget = getattr(platform, "forget", None)
        freed = forget(record.reference) if forget else None
    forget_record(record.run)
    return freed


def _never_taken(record: RunRecord, platform: Platform) -> int:
    """Asked once more: what is there meanwhile stays. Raises Rejected, OSError."""
    if not cut_off.gone(record, platform):
        raise Rejected([Problem(code="run-goes-on", stage=Stage.SUBMIT, title=f"{record.run} may run")])
    forget_record(record.run)
    return 0


def forget_record(run: str) -> None:
    """Remove what is kept of a run here; its name stays taken. Raises Rejected when it is being sent, OSError."""
    home = store.folder(run)
    with store.writing():
        held = held_name.take(home)
        if held is None:
            raise Rejected([Problem(code="run-being-sent", stage=Stage.SUBMIT, title=f"{run} is being sent just now")])
        with held:
            (home / store.FORGOTTEN).touch()
            (home / store.RECORD).unlink(missing_ok=True)
            for path in home.iterdir():
                if path.name not in (store.FORGOTTEN, held_name.CLAIMED):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _unfinished(one: Known) -> str:
    """Why nobody may remove it; empty when it is over."""
    if one.gone:
        return ""
    if one.status is None:
        return one.why or "its platform does not say how it is"
    return "" if one.status.finished else f"it is {one.status.state}"


def _needed(going: Mapping[str, Known], started_from: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Runs that would go and that one which stays was started from, beside that one."""
    wanted = [(run, uri) for run, uris in started_from.items() if run not in going for uri in uris]
    for one in going.values():
        if by := next((run for run, uri in wanted if any(_same(uri, output) for output in one.outputs)), None):
            yield one.run, by


def _same(uri: str, output: str) -> bool:
    """Whether one is the other, or lies in it."""
    uri, output = uri.rstrip("/"), output.rstrip("/")
    return uri == output or uri.startswith(f"{output}/") or output.startswith(f"{uri}/")
