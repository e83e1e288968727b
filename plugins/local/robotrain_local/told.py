"""What the runtime told of a run: its outcome, its events, its last words. They outlive it."""

import os
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


def checkpoint(folder: Path) -> Checkpoint | None:
    """The last complete checkpoint."""
    try:
        lines = (folder / EVENTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    records = (event.read(line) for line in reversed(lines) if '"checkpoint"' in line)
    return next((record.event for record in records if record and isinstance(record.event, Checkpoint)), None)


def last_words(folder: Path) -> str:
    """What the end of the log gives as the reason; empty when it says nothing."""
    try:
        with (folder / files.LOG).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return reason.of_output([line for line in lines if not line.startswith(event.PREFIX)])
