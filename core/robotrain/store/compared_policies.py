"""What runs found about several policies, as this machine saw it: their platforms are not asked again."""

import contextlib
from collections.abc import Mapping
from typing import Any

from robotrain_runtime.contract.event import Evaluated

from robotrain.store import files, records

ANSWER_FILE = "compared.json"
"""The file, in the folder of a run's record."""


def store_answer(run: str, evaluated: Evaluated | None) -> None:
    """Store what a run found, if its folder can be written; nothing for a run that compared no policies."""
    if evaluated and evaluated.compared and read_answer(run) != evaluated.compared:
        with contextlib.suppress(OSError):
            files.write_checked_json(records.get_run_folder(run) / ANSWER_FILE, dict(evaluated.compared))


def read_answer(run: str) -> Mapping[str, Any]:
    """Return what a run found; empty if that was never seen here."""
    with contextlib.suppress(OSError, ValueError):
        answer = files.read_checked_json(records.get_run_folder(run) / ANSWER_FILE)
        if isinstance(answer, dict):
            return answer
    return {}
