"""What arrived, noted in the catalogs a few times a second rather than file by file."""

import asyncio
from collections.abc import Sequence

from robotrain_sources.transfer.origin import Entry
from robotrain_sources.transfer.part import Part

PAUSE = 0.5


class Notes:
    """Of the files of `parts`."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._files: dict[Part, list[tuple[str, str]]] = {part: [] for part in parts}
        self._ranges: dict[Part, list[tuple[str, int, int]]] = {part: [] for part in parts}

    def file(self, part: Part, entry: Entry, own: str) -> None:
        """It is complete, and verified."""
        self._files[part].append((entry.name, own))

    def range(self, part: Part, entry: Entry, start: int, stop: int) -> None:
        """This much of it is written."""
        self._ranges[part].append((entry.name, start, stop))

    def not_a_byte(self, part: Part, entry: Entry) -> None:
        """All of it has to come again."""
        self._files[part].append((entry.name, ""))
        self.write()

    def write(self) -> None:
        """Write all that is not yet written. Raises sqlite3.Error."""
        for part, files in self._files.items():
            ranges = self._ranges[part]
            if files or ranges:
                part.catalog.note(files, ranges)
                files.clear()
                ranges.clear()

    async def look(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(PAUSE)
            self.write()
