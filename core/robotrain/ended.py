"""How a run ended, kept beside its record by whoever saw it: for when its platform cannot be asked."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import dataclasses
import json

from robotrain import store
from robotrain.run import Status

FILE = "ended.json"


def seen(run: str, status: Status) -> None:
    """Keep how it ended; of one that goes on nothing is kept. A folder that takes no file is no failure."""
    if status.finished and known(run) != status:
        with contextlib.suppress(OSError):
            (store.folder(run) / FILE).write_text(json.dumps(dataclasses.asdict(status)), encoding="utf-8")


def known(run: str) -> Status | None:
    """How it ended; None where nobody saw it."""
    try:
        status = Status(**json.loads((store.folder(run) / FILE).read_bytes()))
        return status if status.finished else None
    except (OSError, ValueError, TypeError):  # torn: a JSON or UTF-8 error is a ValueError
        return None
