"""The file that a program in Isaac Lab's Python reports to, a line of JSON each. Standard library only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class ReportReader:
    """Reads the reports that were added since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read_new(self) -> Iterator[dict[str, Any]]:
        """Yield the new reports whose line is complete."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        yield from map(json.loads, complete.decode().splitlines())
