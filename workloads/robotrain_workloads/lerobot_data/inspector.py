"""Ask questions about a dataset: in a Python with pyarrow, as a process of its own that this one reads files for."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.external_command import CommandStartError, open_dialogue
from robotrain.redaction import redact
from robotrain.submission.packing import pack_payload
from robotrain.submission.trainer_check import KEPT_VARIABLES, OFFLINE
from robotrain_runtime.contract import child_python

from robotrain_workloads.lerobot_data.findings import DataFinding, load_data_finding

CHILD = "robotrain_workloads.lerobot_data.inspection"
FileRange = tuple[str, int, int]
"""Path, first byte, last byte + 1."""


class InspectionFailed(Exception):
    """Questions about a dataset got no answer; the message is a sentence without a full stop."""


class RemoteFiles(NamedTuple):
    """The files of a dataset that is elsewhere."""

    sizes: Mapping[str, int]
    """By path."""
    read_ranges: Callable[[Sequence[FileRange]], Sequence[bytes]]
    """Return parts of files. Raise SourceError."""


class InspectedDataset(NamedTuple):
    """A dataset, and what is said about it."""

    findings: tuple[DataFinding, ...]
    results: Mapping[str, Mapping[str, Any]]
    """By question, what its answer holds beside findings."""


def inspect_dataset(
    dataset: Path | RemoteFiles,
    name: str,
    questions: Mapping[str, Mapping[str, Any]],
    python: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seconds: float | None = None,
) -> InspectedDataset:
    """Return the answers to questions about a dataset, each with its options; an error ends them.

    Raise InspectionFailed, and what reading the files of a remote dataset raises.

    :param name: what messages call a remote dataset.
    :param python: a Python with numpy, pyarrow, PyAV and Pillow.
    :param seconds: how long it may take.
    """
    given = (
        {"folder": str(dataset.absolute())}
        if isinstance(dataset, Path)
        else {"name": name, "files": dict(dataset.sizes)}
    )
    with tempfile.TemporaryDirectory(prefix="robotrain-") as place, tempfile.TemporaryFile() as errors:
        with zipfile.ZipFile(io.BytesIO(pack_payload({"data": CHILD}).archive)) as packed:
            packed.extractall(place)
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environ = child_python.make_import_environ([place], kept) | OFFLINE
        options = {"env": environ, "cwd": child_python.NEUTRAL_FOLDER, "stderr": errors}
        try:
            with open_dialogue(str(python), "-m", CHILD, seconds=seconds, **options) as (process, is_late):
                dialogue = _Dialogue(process, dataset, progress)
                with contextlib.suppress(BrokenPipeError):  # it ended
                    dialogue.hold_dialogue({"dataset": given, "questions": questions})
                if dialogue.has_ended:
                    return InspectedDataset(tuple(dialogue.findings), dialogue.results)
        except CommandStartError as error:
            raise InspectionFailed(f"{python} does not start: {error}") from error
        if is_late.is_set():
            raise InspectionFailed(f"there was no answer within {seconds:g} s")
        errors.seek(0)
        last = next((line for line in reversed(errors.read().decode("utf-8", "replace").splitlines()) if line), "")
        why = dialogue.failure or last or f"exit code {process.returncode}"
        raise InspectionFailed(redact(f"{python} ended without an answer: {why}".rstrip("."), max_length=400))


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
        for line in self._process.stdout:
            event = json.loads(line)
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
        parts = self._dataset.read_ranges(ranges)
        self._send(json.dumps({"lengths": [*map(len, parts)]}).encode() + b"\n", *parts)

    def _send(self, *parts: bytes) -> None:
        assert self._process.stdin
        for part in parts:
            self._process.stdin.write(part)
        self._process.stdin.flush()
