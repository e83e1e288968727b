"""What Kubernetes says about the pod of a workflow that waits for long: the one event that tells why."""

import re
import time
from collections.abc import Iterable, Iterator

from robotrain.run import Reference

from robotrain_osmo.cli import command
from robotrain_osmo.cli.stream import Stream
from robotrain_osmo.watch import lines, status_asked

WAITED = 60.0
"""Seconds in the queue, before which waiting needs no other reason."""
START_SECONDS = 2.5
"""Until the command has begun to print."""
QUIET_SECONDS = 0.5
"""Without a line, until all is said for now: the command itself goes on to the workflow's end."""
SECONDS = 3.0
"""For all of it: whoever asks for many runs waits for this one, too."""
_WELL = r"(?i)successfully (?:assigned|pulled)|already present on machine|started container"
_WRONG = r"(?i)\bfail|insufficient|unschedulable|unbound|back-?off|\berror|errimage|denied|exceeded|not found"
_VAGUE = r"(?i)back-?off|errimagepull"
"""That something failed, and not why: an event before it says that."""


def telling(reference: Reference) -> str:
    """The event that says why the workflow is not further; empty when none does, or OSMO does not tell."""
    try:
        stream = command.stream(status_asked.cli(reference), "workflow", "events", reference.get("workflow", ""))
    except command.NoCommand:  # the state is known all the same
        return ""
    with stream:
        return worst(lines.text(raw) for raw in _by_now(stream) if lines.stamp(raw))


def worst(told: Iterable[str]) -> str:
    """Of events, oldest first, the newest that says what is wrong, unless that is over."""
    found = ""
    for text in told:
        if re.search(_WELL, text):
            found = ""
        elif re.search(_WRONG, text) and (not found or re.search(_VAGUE, found) or not re.search(_VAGUE, text)):
            found = text
    return found


def _by_now(stream: Stream) -> Iterator[str]:
    """Each line that is there."""
    until, patience = time.monotonic() + SECONDS, START_SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            line = stream.line(min(patience, left))
        except EOFError:
            return
        if line is None:
            return
        patience = QUIET_SECONDS
        yield line
