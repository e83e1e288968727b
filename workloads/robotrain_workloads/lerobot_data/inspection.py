"""Questions about a dataset, answered in a process of its own, with numpy, pyarrow, PyAV and Pillow.

`-m robotrain_workloads.lerobot_data.inspection` reads its request from stdin, and writes events to stdout, as lines of
JSON. Of a dataset that is elsewhere it asks the process that started it for parts of files, which has the credentials:
the event `read` is answered by a line with the lengths of the parts, and the parts.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles, LocalFiles
from robotrain_workloads.lerobot_data_check.findings import DataFinding, leave_out_errors
from robotrain_workloads.lerobot_data_check.ranged_files import FileRange, RangedFiles

QUESTIONS = {
    "tables": "robotrain_workloads.lerobot_data.tables.table_check",
    "quality": "robotrain_workloads.lerobot_data.quality.quality_check",
    "view": "robotrain_workloads.lerobot_data.view.collect",
}
"""The module that answers each; one is asked only if what those before it found is cured by leaving episodes out."""

Progress = Callable[[int, int], None]
"""Takes how much is done, and of how much."""


class QuestionModule(Protocol):
    """A module that answers a question."""

    def answer_question(
        self, files: DatasetFiles, options: Mapping[str, Any], progress: Progress
    ) -> Iterator[DataFinding | Mapping[str, Any]]:
        """Yield what is wrong with a dataset; a mapping is part of the result of the question."""


class Channel:
    """The pipes to the process that asks."""

    def __init__(self, requests: BinaryIO, events: BinaryIO) -> None:
        self._requests, self._events = requests, events

    def read_line(self) -> Any:
        """Return the next line."""
        return json.loads(self._requests.readline())

    def emit(self, event: str, **values: object) -> None:
        """Write an event."""
        self._events.write(json.dumps({"event": event, **values}).encode() + b"\n")
        self._events.flush()

    def read_ranges(self, ranges: Sequence[FileRange]) -> list[bytes]:
        """Return parts of files. Raise OSError with the reason if they cannot be read."""
        self.emit("read", ranges=ranges)
        response = self.read_line()
        if "error" in response:
            raise OSError(response["error"])
        return [self._requests.read(length) for length in response["lengths"]]


def answer_request(channel: Channel) -> None:
    """Answer the questions of a request in turn, the later ones about the episodes that no error was found in."""
    request = channel.read_line()
    dataset = request["dataset"]
    files: DatasetFiles
    if "folder" in dataset:
        files = LocalFiles(Path(dataset["folder"]))
    else:
        files = RangedFiles(dataset["name"], dataset["files"], channel.read_ranges)
    findings = list[DataFinding]()
    facts = dict[str, Any]()
    for question, options in request["questions"].items():
        module: QuestionModule = importlib.import_module(QUESTIONS[question])
        if "refused" in facts or (left_out_episodes := leave_out_errors(findings, facts)) is None:
            break
        full_options = {**options, "left_out": left_out_episodes}
        for finding_or_result in module.answer_question(
            files, full_options, lambda *parts: channel.emit("progress", parts=parts)
        ):
            if isinstance(finding_or_result, DataFinding):
                findings.append(finding_or_result)
                channel.emit("finding", finding=finding_or_result.dump())
            else:
                facts |= finding_or_result
                channel.emit("result", question=question, result=finding_or_result)


def main() -> None:
    """Answer one request."""
    channel = Channel(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what a library prints is no event
    try:
        answer_request(channel)
    except Exception as error:
        traceback.print_exc()
        channel.emit("failed", why=" ".join(f"{type(error).__name__}: {error}".split()))
    else:
        channel.emit("end")


if __name__ == "__main__":
    main()
