"""How jobs are stopped: a waiting one at once, a running one after it has saved a checkpoint."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

SAVE_SECONDS = 150.0
"""How long a job may take to save a checkpoint, before it is ended for good."""
END_SECONDS = 60.0
"""How long it may take to end after that: engines kill what goes on some seconds later."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
Stop = Literal["waiting", "running", "ending", "for good"]
"""How a job is to be stopped.

One that is `waiting` leaves the queue, one that is `running` saves a checkpoint, one that does neither is ended `for
good`. One that is `ending` does so by itself, or is started again.
"""

ORDER: Sequence[Stop] = ("waiting", "running", "for good")
"""Waiting jobs first: one may begin when another ends, as the next trial of a sweep."""


def stop_all(
    list_jobs: Callable[[], Mapping[str, Stop]], stop_jobs: Callable[[Sequence[str], Stop], str]
) -> str | None:
    """Stop jobs until none is left. Return why the engine refused; empty if one did not end in time; None if all did.

    :param list_jobs: returns the jobs that have not ended.
    :param stop_jobs: stops some; returns why the engine refused, or nothing.
    """
    told = set[tuple[str, Stop]]()
    until, pause = time.monotonic() + SAVE_SECONDS, FIRST_PAUSE
    while jobs := list_jobs():
        late = time.monotonic() - until
        chosen = defaultdict[Stop, list[str]](list)
        for job, stop in jobs.items():
            had_time = late > 0 and (stop == "ending" or (job, "running") in told)
            how: Stop = "for good" if had_time and stop != "waiting" else stop
            if how == "waiting" or (how != "ending" and (job, how) not in told):  # a second signal ends the saving
                chosen[how].append(job)
                told.add((job, how))
        refusals = [stop_jobs(chosen[how], how) for how in ORDER if chosen[how]]
        if any(refusals) or late > END_SECONDS:
            return next(filter(None, refusals), "")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return None
