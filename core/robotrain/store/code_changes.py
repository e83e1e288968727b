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
    """How the code of two runs differs."""

    before: Path
    """The copy of the code that the first run had."""
    after: Path
    paths: Sequence[str]
    """The files that differ, or that only one has, by their paths in it."""

    def __str__(self) -> str:
        count_note = f" and {len(self.paths) - MAX_FILES} more" if len(self.paths) > MAX_FILES else ""
        return f"{', '.join(self.paths[:MAX_FILES])}{count_note}"


def find_code_changes(earlier_sources: Iterable[JobSource], later_sources: Iterable[JobSource]) -> CodeChanges | None:
    """Return how the code of two runs differs; None if it is equal, or a copy of one is not kept here."""
    before, after = (_find_copy(sources) for sources in (earlier_sources, later_sources))
    if before is None or after is None or before == after:
        return None
    old_files, new_files = (code_folder.scan_folder(copy, is_staged=True).files for copy in (before, after))
    equal_paths = {
        path for path in old_files.keys() & new_files if filecmp.cmp(old_files[path], new_files[path], shallow=False)
    }
    paths = sorted({*old_files, *new_files} - equal_paths)
    return CodeChanges(before, after, paths) if paths else None


def find_folder(sources: Iterable[JobSource]) -> Path | None:
    """Return the folder of this machine that the code of a run comes from; None if it comes from elsewhere."""
    code = _find_code(sources)
    return Path(code.uri) if code else None


def _find_code(sources: Iterable[JobSource]) -> JobSource | None:
    return next((source for source in sources if source.role == CODE_ROLE and source.kind == LOCAL_KIND), None)


def _find_copy(sources: Iterable[JobSource]) -> Path | None:
    code = _find_code(sources)
    return code_folder.find_staged_copy(Path(code.uri), code.pin) if code and code.pin else None
