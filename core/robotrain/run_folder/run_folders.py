"""What is read of run folders and done with them, on this machine; `remote_folder` does it on another one."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract.document_limits import MAX_RUN_FILE_BYTES
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.files import read_limited_file, write_atomically

from robotrain.model.run import Output
from robotrain.run_folder import file_names, log, model_registration, outputs, removal
from robotrain.run_folder.facts import FolderFacts, read_facts
from robotrain.run_folder.log import FolderLog
from robotrain.store import ownership


class RunFolders:
    """The run folders of this machine. A subclass reaches those of another one."""

    def exists(self, folder: str) -> bool:
        """Return whether there is such a folder."""
        return Path(folder).is_dir()

    def read_file(self, file: Path) -> bytes:
        """Return a file. Raise OSError, ValueError."""
        return read_limited_file(file, MAX_RUN_FILE_BYTES)

    def write_file(self, file: Path, content: bytes = b"") -> None:
        """Write a file as a whole. Raise OSError."""
        write_atomically(file, content)

    def find_facts(self, folders: Iterable[str], files: Mapping[str, int]) -> list[FolderFacts | None]:
        """Return the facts of each run folder; None for one that does not exist. `files`: as FACT_FILES."""
        return [read_facts(Path(folder), files) if self.exists(folder) else None for folder in folders]

    def describe_surviving_checkpoints(self, folder: Path) -> Iterable[str]:
        """Return sentences about the last checkpoints in a run folder."""
        return outputs.describe_surviving_checkpoints(folder)

    def open_log(self, folder: Path, output_file: str, prefix: str, end_sign: str) -> FolderLog | None:
        """Return the log of a run; None if there is no such folder."""
        return FolderLog(folder, output_file, prefix, end_sign) if folder.is_dir() else None

    def find_events_file(self, folder: Path) -> Path | None:
        """Return a file of this machine to which the events of a run are added; None before there are any."""
        return log.find_events_file(folder)

    def update_events_file(self, folder: Path) -> None:
        """Add new events to that file, if somebody reads it."""

    def list_outputs(self, folder: Path) -> Iterable[Output]:
        """Return the outputs in a run folder."""
        return outputs.list_outputs(folder)

    def download(self, output: Output, to: Path, folder: Path) -> list[str]:
        """Copy one output of the run in a folder atomically, and return what of it was left out. Raise Rejected."""
        return outputs.download_output(output, to, folder)

    def register(self, folder: Path, name: str, step: int | None, top: Path) -> Registered:
        """Register a checkpoint of a run. Raise Rejected.

        :param top: the run folder of the whole, with the payload.
        """
        return model_registration.register_model(folder, name, step, top / file_names.PAYLOAD_FOLDER)

    def find_other_writer(self, path: Path) -> str:
        """Return how somebody else may have written what is at a path, in words; empty if nobody may."""
        return ownership.find_other_writer(path)

    def remove(self, folder: Path, dry_run: bool) -> int | None:
        """Remove a run folder unless `dry_run` is set. Return the bytes freed; None if it is another user's.

        Raise OSError.
        """
        return removal.remove_folder(folder, dry_run)
