"""What a run's log tells by now. A log that cannot be read takes nothing else away."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections import deque
from typing import TYPE_CHECKING, Any

from robotrain_runtime import event

from robotrain.cli.output import say
from robotrain.progress import Progress

if TYPE_CHECKING:
    from robotrain.run import RunRecord

LAST = 400
SHOWN = 8


def heard(record: RunRecord, platform: Any) -> tuple[Progress, list[str]]:
    """What its events add up to, and the last ordinary lines: the run's own, where it said anything."""
    known, ordinary, others = Progress(record.metrics), deque[str](maxlen=LAST), deque[str](maxlen=LAST)
    try:
        for line in platform.logs(record.reference, follow=False):
            if not line.startswith(event.PREFIX):
                (others if of_platform(line, record) else ordinary).append(line)
            elif found := event.read(line):
                known.add(found)
    except Exception as error:  # whatever a plugin raises: its state is known, and told
        from robotrain.cli.watching.asking import why

        say(f"warning: the log of {record.run} cannot be read: {why(error)}")
    return known, list(ordinary or others)


def of_platform(line: str, record: RunRecord) -> bool:
    """Whether a line is what the platform itself had to say."""
    return line.startswith(f"[{record.platform}] ")


def ending(lines: list[str]) -> list[str]:
    """The lines that show an error: the last traceback's end and what is right before it, else the last lines."""
    told = [line.rstrip() for line in lines if line.strip()]
    begins = next((at for at in reversed(range(len(told))) if told[at].startswith("Traceback (most")), None)
    if begins is None:
        return told[-SHOWN:]
    raised = next((at for at in range(begins + 1, len(told)) if not told[at].startswith((" ", "\t"))), len(told) - 1)
    return told[max(0, raised + 1 - SHOWN) : raised + 1]
