"""The log of a workflow: what there is by now, its end, or all of it as it comes.

OSMO is asked for the log of the whole workflow, which has one task: that of a task is only its newest try, and is kept
ten times shorter. Of a workflow that goes on the command never ends by itself, however few lines are asked for.
"""

import time
from collections import deque
from collections.abc import Iterator

from robotrain.run import Reference
from robotrain_runtime import event
from robotrain_runtime.event import Outcome, Stage

from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.watch import lines as read
from robotrain_osmo.watch import logs_stream, status_asked
from robotrain_osmo.watch.logs_stream import QUIET_SECONDS

NOW_SECONDS = 15.0
"""For what is there of a log that goes on."""
ENDED_SECONDS = 20.0
"""Without a line of a log that has ended."""
OUTCOME_SECONDS = 5.0
LAST = 400
"""Lines in which a run's last word is looked for: what OSMO says of its uploads comes after it."""
CUT_OFF = f"{read.MARK}the rest of the log did not come within {ENDED_SECONDS:g} s"


def lines(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """What the run printed, its events among it, and OSMO's own lines under a mark. Raises RunGone, Rejected."""
    if follow:
        from robotrain_osmo.watch.logs_following import Following

        return Following(reference, tail).lines()
    return _by_now(reference, tail)


def outcome(reference: Reference) -> Outcome | None:
    """The last word of a run that has ended; None when there is none. Raises Rejected."""
    last: Outcome | None = None
    until = time.monotonic() + OUTCOME_SECONDS
    with logs_stream.opened(reference, "-n", str(LAST)) as log:
        for raw in logs_stream.raw(log, OUTCOME_SECONDS):
            if raw is None or time.monotonic() > until:
                break
            found = event.read(read.text(raw))
            if found and isinstance(found.event, Outcome):
                last = found.event
            elif found and isinstance(found.event, Stage) and found.event.state == "started":
                last = None  # that was the word of an earlier try
    return last


def _by_now(reference: Reference, tail: int | None) -> Iterator[str]:
    with logs_stream.opened(reference) as log:  # it starts while the state is asked for
        told = status_asked.ask(reference)
        if told.silent:
            return
        found, count = deque[str](maxlen=tail), 0
        try:
            for line in _whole(logs_stream.raw(log)) if told.finished else _until_quiet(logs_stream.raw(log)):
                found.append(line)
                count += 1
        except Refused:
            if told.started is not None:  # else there is none, and OSMO may say so as an error
                raise
    if tail is None and count >= read.KEPT:
        yield read.TRIMMED
    yield from found


def _until_quiet(raws: Iterator[str | None]) -> Iterator[str]:
    until = time.monotonic() + NOW_SECONDS
    for raw in raws:
        if raw is None or time.monotonic() > until:
            return
        yield read.text(raw)


def _whole(raws: Iterator[str | None]) -> Iterator[str]:
    """To its end, however long that takes while lines come."""
    heard = time.monotonic()
    for raw in raws:
        if raw is not None:
            heard = time.monotonic()
            yield read.text(raw)
        elif time.monotonic() - heard > ENDED_SECONDS - QUIET_SECONDS:
            yield CUT_OFF
            return
