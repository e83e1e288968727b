"""The platform's methods for a run that a login node knows, where they are more than a call of the same function."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robotrain.cluster.outputs import download_atomically
from robotrain.errors import Rejected
from robotrain.model.run import Output, Reference, Status, StepStatus
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture, limit_seconds

from robotrain_slurm.login import calls
from robotrain_slurm.login.address import find_login
from robotrain_slurm.login.connection import ANSWER_SECONDS
from robotrain_slurm.remote.events_mirror import EventsMirror

TASKS = "robotrain_slurm.remote.tasks"
RUNS = "robotrain_slurm.observe.runs:RUNS"


def query_status(login: str, reference: Reference) -> Status:
    """Return the status of a run, and take over its new events if they are followed. Raise RunGone, Rejected."""
    mirror = EventsMirror(login, reference)
    known = mirror.describe() if mirror.is_followed else None
    answer = calls.call(login, f"{TASKS}:query_status", reference, known)
    if mirror.is_followed and answer["events"] is not None:
        mirror.add(*answer["events"])
    status: Status = answer["status"]
    return status


def query_pipeline(login: str, reference: Reference) -> tuple[Status, list[StepStatus]]:
    """Return the status of the whole, and the steps. Raise RunGone, Rejected."""
    status, steps = calls.call(login, f"{RUNS}.query_pipeline", reference)
    return status, steps


def list_statuses(references: Sequence[Reference]) -> list[Status | None]:
    """Return the status of each run, those of a login node by one request; None for the runs of one that fails.

    `query_status` then says why, without asking it again. Raise Rejected if all runs are of the one that fails.
    """
    places: dict[str, list[int]] = {}
    for at, one in enumerate(references):
        places.setdefault(find_login(one), []).append(at)
    seconds = limit_seconds(ANSWER_SECONDS)  # less in a list: the answers of the others still count
    listings = {
        login: DeadlineFuture(partial(_list_there, login, [references[at] for at in indexes]))
        for login, indexes in places.items()
    }
    found: list[Status | None] = [None] * len(references)
    for login, indexes in places.items():
        try:
            listed = listings[login].result(seconds if login else None)
        except (DeadlineExceeded, Rejected) as error:
            failure = error if isinstance(error, Rejected) else calls.note_silence(login, seconds)
            if len(places) == 1:
                raise failure from None
            continue
        for at, status in zip(indexes, listed, strict=False):  # of as many as a login node says anything
            found[at] = status
    return found


def _list_there(login: str, references: Sequence[Reference]) -> Sequence[Status | None]:
    function = f"{RUNS}.list_statuses"
    return calls.call(login, function, references) if login else _list_here(references)


def _list_here(references: Sequence[Reference]) -> list[Status | None]:
    from robotrain_slurm.observe.runs import RUNS as here

    return here.list_statuses(references)


def read_logs(login: str, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log. Raise RunGone, Rejected."""
    function = f"{RUNS}.logs"
    if follow:
        return calls.stream(login, function, reference, follow, tail)
    return iter(calls.collect(login, function, reference, follow, tail))


def find_events_file(login: str, reference: Reference) -> Path | None:
    """Return this machine's copy of the events, which every `query_status` continues. Raise RunGone, Rejected."""
    mirror, more = EventsMirror(login, reference), True
    while more:
        events = calls.call(login, f"{TASKS}:read_events", reference, *mirror.describe())
        if events is None:
            return None
        more = mirror.add(*events)
    mirror.follow()
    return mirror.path


def download_output(login: str, reference: Reference, output: Output, to: Path) -> None:
    """Copy one output atomically. Raise Rejected."""

    def fetch(scratch: Path) -> None:
        parts = calls.stream(login, f"{TASKS}:send_output", reference, output)
        _write_parts(parts, scratch)
        if output.digest and (wrong := checkpoint.validate_checkpoint(scratch)):
            raise OSError(wrong.replace(str(scratch), output.uri))

    download_atomically(output, to, fetch)


def _write_parts(parts: Iterable[dict[str, Any]], top: Path) -> None:
    """Write what `send_output` yields below `top`; the login node decides no mode but whether its user may run a file.

    Raise OSError, also for a path that leads out of it.
    """
    file = None
    try:
        for part in parts:
            if "content" in part:
                if file is None:
                    raise OSError("the login node sends content before the name of a file")
                file.write(part["content"])
                continue
            if file:
                file.close()
                file = None
            path = os.path.normpath(part["path"]) if part["path"] else ""
            if os.path.isabs(path) or path.split(os.sep)[0] == ".." or "\0" in path:
                raise OSError(f"{part['path']!r} leads out of the output")
            place = top / path if path else top
            if part["folder"]:
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            file = open(place, "xb", opener=partial(os.open, mode=0o777 if part["mode"] & 0o100 else 0o666))  # noqa: SIM115
    finally:
        if file:
            file.close()


def list_outputs(login: str, reference: Reference) -> list[Output]:
    """Return the outputs of a run; their folders are those of the cluster. Raise RunGone, Rejected."""
    found: list[Output] = calls.call(login, f"{TASKS}:list_outputs", reference)
    return found


def remove_run(login: str, reference: Reference, dry_run: bool = False) -> int:
    """Remove the run's folder unless `dry_run` is set; return the bytes freed. Raise RunGone, Rejected."""
    freed: int = calls.call(login, f"{RUNS}.remove_outputs", reference, dry_run)
    if not dry_run:
        EventsMirror(login, reference).remove()
    return freed
