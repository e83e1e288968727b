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


def find_code_changes(earlier_sources: Iterable[JobSource], later_sources: Iterable[JobSource]) -> CodeChanges | None:
    """Return how the code of two runs differs; None if it is equal, or a copy of one is not kept here."""
    copies = [_find_copy(sources) for sources in (earlier_sources, later_sources)]
    earlier_copy, later_copy = copies
    if earlier_copy is None or later_copy is None or earlier_copy == later_copy:
        return None
    old_files, new_files = (code_folder.scan_folder(copy, is_staged=True).files for copy in (earlier_copy, later_copy))
    changed_paths = [
        path
        for path in old_files
        if path in new_files and not filecmp.cmp(old_files[path], new_files[path], shallow=False)
    ]
    added_paths = [path for path in new_files if path not in old_files]
    removed_paths = [path for path in old_files if path not in new_files]
    return (
        CodeChanges(earlier_copy, later_copy, changed_paths, added_paths, removed_paths)
        if changed_paths or added_paths or removed_paths
        else None
    )


def find_folder(sources: Iterable[JobSource]) -> Path | None:
    """Return the folder of this machine that the code of a run comes from; None if it comes from elsewhere."""
    code = _find_code(sources)
    return Path(code.uri) if code else None


def _find_code(sources: Iterable[JobSource]) -> JobSource | None:
    return next((source for source in sources if source.role == CODE_ROLE and source.kind == LOCAL_KIND), None)


def _find_copy(sources: Iterable[JobSource]) -> Path | None:
    code = _find_code(sources)
    return code_folder.find_staged_copy(Path(code.uri), code.pin) if code and code.pin else None


def _join_paths(paths: Sequence[str]) -> str:
    count_note = f" and {len(paths) - MAX_FILES} more" if len(paths) > MAX_FILES else ""
    return f"{', '.join(paths[:MAX_FILES])}{count_note}"
