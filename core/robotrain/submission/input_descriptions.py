"""The files that describe a job's inputs: on this machine, read from where a pinned source is, or predicted."""

import contextlib
from pathlib import Path

from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.submission.container_plugins import load_workload_container
from robotrain.submission.implied_sources import make_description_document
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.source_files import SourceFiles


class InputDescriptions:
    """The folders with the files that describe the inputs of jobs.

    :param place: an empty folder.
    """

    def __init__(self, scratch: Path, files: SourceFiles) -> None:
        self._place = scratch
        self._files = files
        self._folders: dict[JobSource, Path] = {}
        self._made: dict[str, Path] = {}
        """By step of a pipeline, the description of what it will make."""

    def find_folders(self, prepared: PreparedJob, plugin: WorkloadContainerPlugin) -> dict[JobSource, Path]:
        """Return the folder of each source that can be read, is on this machine or is predicted."""
        folders = {}
        remote_sources = (
            source for source in prepared.job.sources if not (source.uri in self._made or source.uri[:1] == "/")
        )
        self._files.read_all(
            {source: plugin.DESCRIBED.get(source.role, ()) for source in remote_sources}, prepared.kinds
        )
        for source in prepared.job.sources:
            folder = self._made.get(source.uri) if source.kind == STEP_KIND else Path(source.uri)
            if folder and not folder.is_absolute():
                folder = self._write_files(source)
            if folder and folder.is_dir() and not prepared.is_remote_folder(source):
                folders[source] = folder
        return folders

    def describe_output(self, step: str, prepared: PreparedJob) -> None:
        """Note what is known of the policy that a step of a pipeline will train, for the steps that read it."""
        plugin = load_workload_container(prepared.container_plugins)
        folder = self._place / f"step-{step}"
        with contextlib.suppress(Exception):  # the run will compare what it made
            folder.mkdir()
            if plugin:
                document = make_description_document(prepared.job, prepared.platform.name, prepared.container_plugins)
                plugin.describe_output(document, self.find_folders(prepared, plugin), folder)
            if any(folder.iterdir()):
                self._made[step] = folder

    def _write_files(self, source: JobSource) -> Path | None:
        """Return a folder with the files that describe a source; None if none can be read from this machine."""
        files = self._files.files.get(source)
        if files and source not in self._folders:
            folder = self._place / f"source-{len(self._folders)}"
            for path, file_bytes in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(file_bytes)
            self._folders[source] = folder
        return self._folders.get(source)
