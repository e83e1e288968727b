"""What the runtime told of a run: its outcome, its events, its last words. They outlive it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime import event, reason
from robotrain_runtime.event import Checkpoint, Outcome

from robotrain_local import folder as files

EVENTS = "events.jsonl"
OUTCOME = "outcome.json"
TAIL_BYTES = 1 << 14


def outcome(folder: Path) -> Outcome | None:
    """How the run ended by its own word; None when it was cut off before it could say."""
    said = files.read(folder / OUTCOME)
    try:
        return Outcome(**said) if said else None
    except TypeError:
        return None


def checkpoints(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoints that the run told of, in the order it made them."""
    try:
        with (folder / EVENTS).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if '"checkpoint"' in line and (record := event.read(line)) and isinstance(record.event, Checkpoint):
                    yield record.event
    except FileNotFoundError:
        return


def silence(folder: Path) -> float | None:
    """Seconds since the run told something; None when it never did."""
    try:
        return max(0.0, time.time() - (folder / EVENTS).stat().st_mtime)
    except OSError:
        return None


def last_words(folder: Path) -> str:
    """What the end of the log gives as the reason; empty when it says nothing."""
    try:
        with (folder / files.LOG).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return reason.of_output([line for line in lines if not line.startswith(event.PREFIX)])
