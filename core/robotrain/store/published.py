"""What `robotrain publish` sent of a run: kept beside its record, as the run's own log does not have it."""

import json
from collections.abc import Iterable

from robotrain.store import files, records

PUBLISHED_FILE = "published.json"


def add_published(run: str, copies: Iterable[tuple[int, str]], target: str) -> None:
    """Add copies of checkpoints, each a step and an address, that are at a place. Raise OSError."""
    target_by_copy = {(step, to): copy_target for step, to, copy_target in read_published(run)}
    target_by_copy |= {copy: target for copy in copies}
    if target_by_copy:
        rows = [
            {"step": step, "to": to, "place": copy_target} for (step, to), copy_target in sorted(target_by_copy.items())
        ]
        json_text = json.dumps(rows, indent=1) + "\n"
        files.write_atomically(records.get_run_folder(run) / PUBLISHED_FILE, json_text.encode())


def read_published(run: str) -> list[tuple[int, str, str]]:
    """Return the step, the address and the place of each copy; none if the file is missing or damaged."""
    try:
        rows = json.loads((records.get_run_folder(run) / PUBLISHED_FILE).read_text(encoding="utf-8"))
        return [(int(row["step"]), str(row["to"]), str(row["place"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []
