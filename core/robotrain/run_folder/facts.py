"""The facts of a run folder: its small files, read at once. What follows from them is computed without the disk."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract import claim
from robotrain_runtime.contract.claim import RunOwner
from robotrain_runtime.contract.document_limits import MAX_ENGINE_END_BYTES, MAX_OUTCOME_BYTES
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.contract.files import open_regular_file
from robotrain_runtime.contract.json_values import parse_fields

from robotrain.run_folder import file_names

ENGINE_END_FILE = "engine-end"
"""How the job ended, in the engine's words: most engines forget ended jobs."""
FACT_FILES: Mapping[str, int] = {
    file_names.OUTCOME_FILE: MAX_OUTCOME_BYTES,
    ENGINE_END_FILE: MAX_ENGINE_END_BYTES,
    claim.CANCELLED_FILE: 0,
}
"""The files that are read of every run folder, and how many bytes of the end of each."""


@dataclass(frozen=True)
class FactFile:
    """A file of a run folder."""

    content: bytes
    """The end of it."""
    modified: float
    """When it was modified, in seconds since the epoch."""


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """What was read of a run folder. What could not be read is missing."""

    folder: Path
    user: int
    """The number of the user whom the folder belongs to."""
    owner: RunOwner | None = None
    """The job that works on the run, or did last; None before any has begun."""
    files: Mapping[str, FactFile]
    """By name."""

    @property
    def is_cancelled(self) -> bool:
        """Whether the user cancelled the run."""
        return claim.CANCELLED_FILE in self.files

    @property
    def outcome(self) -> Outcome | None:
        """The outcome that the runtime recorded; None if it was stopped before."""
        with suppress(ValueError):  # for example an incomplete file
            return parse_fields(Outcome, self.read(file_names.OUTCOME_FILE))
        return None

    @property
    def has_damaged_outcome(self) -> bool:
        """Whether an outcome was recorded that cannot be read."""
        return file_names.OUTCOME_FILE in self.files and self.outcome is None

    def read(self, name: str) -> bytes:
        """Return the end of a file; nothing if it is missing."""
        return self.files[name].content if name in self.files else b""


def read_facts(folder: Path, files: Mapping[str, int] = FACT_FILES) -> FolderFacts:
    """Return the facts of a run folder on this machine. Raise OSError if there is none.

    :param files: as FACT_FILES.
    """
    user, owner, fact_files = folder.stat().st_uid, None, {}
    for name, max_bytes in files.items():
        with suppress(OSError):
            status = (folder / name).stat()
            fact_files[name] = FactFile(_read_end(folder / name, status.st_size, max_bytes), status.st_mtime)
    with suppress(OSError, ValueError):
        owner = claim.find_owner(folder)
    return FolderFacts(folder=folder, user=user, owner=owner, files=fact_files)


def _read_end(path: Path, size: int, max_bytes: int) -> bytes:
    with suppress(OSError), open_regular_file(path) as file:
        file.seek(max(0, size - max_bytes))
        return file.read(max_bytes)
    return b""
