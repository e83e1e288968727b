"""Which files of a user's code differ between two runs, as far as this machine keeps copies of both."""

import filecmp
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.document import JobSource

from robotrain.model.source import LOCAL_KIND
from robotrain.store import code_folder

CODE_ROLE = "code"
MAX_FILES = 5
"""How many files a sentence names."""


class CodeChanges(NamedTuple):
    """The files that differ between the code of two runs, by their paths in it."""

    before: Path
    """The copy of the code that the first run had."""
    after: Path
    changed: Sequence[str]
    added: Sequence[str]
    removed: Sequence[str]

    def list_paths(self) -> dict[str, list[str]]:
        """Return the paths by what happened to them."""
        return {"changed": [*self.changed], "added": [*self.added], "removed": [*self.removed]}

    def __str__(self) -> str:
        verbs = self.list_paths()
        return ", ".join(f"{_join_paths(paths)} {verb}" for verb, paths in verbs.items() if paths)


def find_code_changes(before: Iterable[JobSource], after: Iterable[JobSource]) -> CodeChanges | None:
    """Return how the code of two runs differs; None if it is equal, or a copy of one is not kept here."""
    copies = [_find_copy(sources) for sources in (before, after)]
    first, second = copies
    if first is None or second is None or first == second:
        return None
    old, new = (code_folder.scan_folder(copy, is_staged=True).files for copy in (first, second))
    changed = [path for path in old if path in new and not filecmp.cmp(old[path], new[path], shallow=False)]
    added = [path for path in new if path not in old]
    removed = [path for path in old if path not in new]
    return CodeChanges(first, second, changed, added, removed) if changed or added or removed else None


def _find_copy(sources: Iterable[JobSource]) -> Path | None:
    code = next((source for source in sources if source.role == CODE_ROLE and source.kind == LOCAL_KIND), None)
    return code_folder.find_staged_copy(Path(code.uri), code.pin) if code and code.pin else None


def _join_paths(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MAX_FILES} more" if len(paths) > MAX_FILES else ""
    return f"{', '.join(paths[:MAX_FILES])}{more}"
