"""How jobs are stopped: a waiting one at once, a running one after it has saved a checkpoint."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from robotrain.errors import Rejected

SAVE_SECONDS = 150.0
"""How long a job may take to save a checkpoint, before it is ended for good."""
END_SECONDS = 60.0
"""How long it may take to end after that: engines kill what goes on some seconds later."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
Stop = Literal["waiting", "running", "for good"]
"""How a job is to be stopped.

One that is `waiting` leaves the queue, one that is `running` saves a checkpoint, one that does neither is ended `for
good`.
"""
NeededStop = Literal[Stop, "ending"]
"""How one is to be stopped that has not ended; one that is `ending` does so by itself, or is started again."""

ORDER: Sequence[Stop] = ("waiting", "running", "for good")
"""Waiting jobs first: one may begin when another ends."""


SIGNALLED_FILE = "signalled"
"""In the run folder: the jobs that were told to save a checkpoint and stop, a line each. A second signal ends that."""


def stop_all(
    list_jobs: Callable[[], Mapping[str, NeededStop]],
    stop_jobs: Callable[[Sequence[str], Stop], str],
    signalled: Iterable[str] = (),
    note_signalled: Callable[[Collection[str]], None] = lambda jobs: None,
) -> str | None:
    """Stop jobs until none is left. Return why the engine refused; empty if one did not end in time; None if all did.

    A question that the engine does not answer is asked again, once a stop was requested. Raise Rejected.

    :param list_jobs: returns the jobs that have not ended.
    :param stop_jobs: stops some; returns why the engine refused, or nothing.
    :param signalled: the running jobs that an earlier cancel has stopped.
    :param note_signalled: keeps all of them.
    """
    requested_stops: set[tuple[str, Stop]] = {(job, "running") for job in signalled}
    deadline = time.monotonic() + SAVE_SECONDS
    pause = FIRST_PAUSE
    has_begun = False
    while True:
        seconds_late = time.monotonic() - deadline
        try:
            jobs = list_jobs()
        except Rejected as rejected:
            if not (rejected.transient and has_begun) or seconds_late > END_SECONDS:
                raise
        else:
            if not jobs:
                return None
            has_begun = True
            jobs_by_stop = _choose_stops(jobs, requested_stops, is_late=seconds_late > 0)
            refusals = [stop_jobs(jobs_by_stop[stop], stop) for stop in ORDER if jobs_by_stop[stop]]
            if jobs_by_stop["running"] and not any(refusals):
                note_signalled({job for job, stop in requested_stops if stop == "running"})
            if any(refusals) or seconds_late > END_SECONDS:
                return next(filter(None, refusals), "")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _choose_stops(
    jobs: Mapping[str, NeededStop], requested_stops: set[tuple[str, Stop]], *, is_late: bool
) -> Mapping[Stop, list[str]]:
    """Return the jobs to stop now, by how. Adds them to `requested_stops`."""
    jobs_by_stop = defaultdict[Stop, list[str]](list)
    for job, stop in jobs.items():
        had_time = is_late and (stop == "ending" or (job, "running") in requested_stops)
        needed_stop: NeededStop = "for good" if had_time and stop != "waiting" else stop
        if needed_stop == "waiting" or (needed_stop != "ending" and (job, needed_stop) not in requested_stops):
            jobs_by_stop[needed_stop].append(job)
            requested_stops.add((job, needed_stop))
    return jobs_by_stop
