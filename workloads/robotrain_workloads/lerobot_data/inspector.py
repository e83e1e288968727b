"""Ask questions about a dataset: in a Python with pyarrow, as a process of its own that this one reads files for."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.external_command import CommandStartError, open_dialogue
from robotrain.model.data_report import RemoteFiles
from robotrain.model.source import FileRange
from robotrain.redaction import redact
from robotrain.store import files
from robotrain.submission.packing import pack_payload
from robotrain.submission.trainer_check import KEPT_VARIABLES, OFFLINE
from robotrain_runtime.contract import child_python

from robotrain_workloads.lerobot_data_check.findings import DataFinding, load_data_finding

if TYPE_CHECKING:
    import subprocess

CHILD = "robotrain_workloads.lerobot_data.inspection"
FORMAT = 1
"""Changes with what a cached answer means."""
FOLDER, MOST_KEPT, LARGEST_KEPT = "inspected", 200, 1 << 20
"""The folder of answers in the cache, and how many and how large ones it keeps."""


class InspectionFailed(Exception):
    """Questions about a dataset got no answer; the message is a sentence without a full stop."""


class InspectedDataset(NamedTuple):
    """A dataset, and what is said about it."""

    findings: tuple[DataFinding, ...]
    results: Mapping[str, Mapping[str, Any]]
    """By question, what its answer holds beside findings."""


def inspect_dataset(
    dataset: Path | RemoteFiles,
    questions: Mapping[str, Mapping[str, Any]],
    find_python: Callable[[], Path],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seconds: float | None = None,
) -> InspectedDataset:
    """Return the answers to questions about a dataset, each with its options; an error ends them.

    They are kept in the cache until the dataset changes. Raise InspectionFailed, and what reading files elsewhere
    raises.

    :param find_python: return a Python with numpy, pyarrow, PyAV and Pillow; called only if the answers are unknown.
    :param seconds: how long it may take.
    """
    archive = pack_payload({"data": CHILD})
    identity = _list_files(dataset) if isinstance(dataset, Path) else [dataset.identity]
    key_parts = [FORMAT, archive.digest, identity, questions]
    key = hashlib.sha256(json.dumps(key_parts).encode()).hexdigest()
    if (stored_json := files.load_computed(key, FOLDER)) is not None:
        return _load_inspected(json.loads(stored_json))
    inspected = _ask_process(dataset, questions, find_python(), archive.archive, progress, seconds)
    inspected_json = json.dumps(
        {"findings": [finding.dump() for finding in inspected.findings], "results": inspected.results}
    ).encode()
    if len(inspected_json) <= LARGEST_KEPT:
        files.load_or_compute(key, lambda: inspected_json, FOLDER, MOST_KEPT)
    return inspected


def _load_inspected(inspected: Mapping[str, Any]) -> InspectedDataset:
    return InspectedDataset(tuple(map(load_data_finding, inspected["findings"])), inspected["results"])


def _list_files(folder: Path) -> list[list[str]]:
    """Return each file below a folder with its size and time: what changes with its content."""
    rows = [[str(folder.absolute())]]
    for parent, _, file_names in os.walk(folder):
        for file_name in file_names:
            path = os.path.join(parent, file_name)
            with contextlib.suppress(OSError):
                state = os.stat(path)
                rows.append([os.path.relpath(path, folder), str(state.st_size), str(state.st_mtime_ns)])
    return sorted(rows)


def _ask_process(
    dataset: Path | RemoteFiles,
    questions: Mapping[str, Mapping[str, Any]],
    python: Path,
    code: bytes,
    progress: Callable[[int, int], None],
    seconds: float | None,
) -> InspectedDataset:
    if isinstance(dataset, Path):
        description: Mapping[str, object] = {"folder": str(dataset.absolute())}
    else:
        description = {"name": dataset.name, "files": dict(dataset.list_sizes())}
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder, tempfile.TemporaryFile() as errors:
        with zipfile.ZipFile(io.BytesIO(code)) as code_archive:
            code_archive.extractall(folder)
        inherited = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environ = child_python.make_import_environ([folder], inherited) | OFFLINE
        options = {"env": environ, "cwd": child_python.NEUTRAL_FOLDER, "stderr": errors}
        try:
            with open_dialogue(str(python), "-m", CHILD, seconds=seconds, **options) as (process, is_late):
                dialogue = _Dialogue(process, dataset, progress)
                with contextlib.suppress(BrokenPipeError):  # it ended
                    dialogue.hold_dialogue({"dataset": description, "questions": questions})
                if dialogue.has_ended:
                    return InspectedDataset(tuple(dialogue.findings), dialogue.results)
        except CommandStartError as error:
            raise InspectionFailed(f"{python} does not start: {error}") from error
        if is_late.is_set():
            raise InspectionFailed(f"reading them took longer than {seconds:g} s")
        errors.seek(0)
        last_line = next((line for line in reversed(errors.read().decode("utf-8", "replace").splitlines()) if line), "")
        reason = dialogue.failure or last_line or f"exit code {process.returncode}"
        raise InspectionFailed(redact(f"{python} ended without an answer: {reason}".rstrip("."), max_length=400))


class _Dialogue:
    """What is said to the process, and what it says."""

    def __init__(
        self, process: subprocess.Popen[bytes], dataset: Path | RemoteFiles, progress: Callable[[int, int], None]
    ) -> None:
        self._process, self._dataset, self._progress = process, dataset, progress
        self.findings: list[DataFinding] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.has_ended, self.failure = False, ""

    def hold_dialogue(self, request: Mapping[str, Any]) -> None:
        """Send the request, and take events to their end. Raise BrokenPipeError."""
        assert self._process.stdout
        self._send(json.dumps(request).encode() + b"\n")
        for event_line in self._process.stdout:
            event = json.loads(event_line)
            match event["event"]:
                case "progress":
                    self._progress(*event["parts"])
                case "finding":
                    self.findings.append(load_data_finding(event["finding"]))
                case "result":
                    self.results.setdefault(event["question"], {}).update(event["result"])
                case "read":
                    self._send_ranges([(path, start, stop) for path, start, stop in event["ranges"]])
                case "failed":
                    self.failure = event["why"]
                case "end":
                    self.has_ended = True

    def _send_ranges(self, ranges: Sequence[FileRange]) -> None:
        assert isinstance(self._dataset, RemoteFiles)
        range_contents = self._dataset.read_ranges(ranges)
        self._send(json.dumps({"lengths": [*map(len, range_contents)]}).encode() + b"\n", *range_contents)

    def _send(self, *parts: bytes) -> None:
        assert self._process.stdin
        for part in parts:
            self._process.stdin.write(part)
        self._process.stdin.flush()
