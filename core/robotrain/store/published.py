"""What `robotrain publish` sent of a run: kept beside its record, as the run's own log does not have it."""

import json
from collections.abc import Iterable

from robotrain.store import files, records

PUBLISHED_FILE = "published.json"


def add_published(run: str, copies: Iterable[tuple[int, str]]) -> None:
    """Add copies of checkpoints, each a step and an address. Raise OSError."""
    rows = [{"step": step, "to": to} for step, to in sorted({*read_published(run), *copies})]
    if rows:
        json_text = json.dumps(rows, indent=1) + "\n"
        files.write_atomically(records.get_run_folder(run) / PUBLISHED_FILE, json_text.encode())


def read_published(run: str) -> list[tuple[int, str]]:
    """Return the step and the address of each copy; none if the file is missing or damaged."""
    try:
        rows = json.loads((records.get_run_folder(run) / PUBLISHED_FILE).read_text(encoding="utf-8"))
        return [(int(row["step"]), str(row["to"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []
