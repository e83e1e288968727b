"""What the runtime told of a run in the run's folder: its outcome and its events. They outlive it."""

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from robotrain_runtime import event
from robotrain_runtime.event import Checkpoint, Evaluated, Outcome

LOG = "log.txt"
JOB = "job.json"
EVENTS = "events.jsonl"
OUTCOME = "outcome.json"

Kind = TypeVar("Kind", Checkpoint, Evaluated)


def outcome(folder: Path) -> Outcome | None:
    """How the run ended by its own word; None when it was cut off before it could say."""
    try:
        said = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
        return Outcome(**said) if isinstance(said, dict) else None
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):  # torn by a power cut, among others
        return None


def checkpoints(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoints that the run told of, in the order it made them."""
    return _events(folder, Checkpoint)


def evaluated(folder: Path) -> Evaluated | None:
    """The last evaluation that the run told of."""
    return next(iter(deque(_events(folder, Evaluated), maxlen=1)), None)


def _events(folder: Path, kind: type[Kind]) -> Iterator[Kind]:
    sign = f'"{kind.__name__.lower()}"'
    try:
        with (folder / EVENTS).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if sign in line and (record := event.read(line)) and isinstance(record.event, kind):
                    yield record.event
    except FileNotFoundError:
        return
