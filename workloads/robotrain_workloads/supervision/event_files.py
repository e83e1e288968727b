"""TensorBoard's event files, read while they are written."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EVENT_FILES = "events.out.tfevents.*"


class EventFileReader:
    """Reads what is new in the event files of a folder; a record that is still being written is read later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaders: dict[Path, Any] = {}

    def read_new(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield steps with their values by tag, in the order that they were written."""
        for path in sorted(self._folder.glob(EVENT_FILES)):
            if path not in self._loaders:
                module = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
                self._loaders[path] = module.LegacyEventFileLoader(str(path))
            step, values = 0, dict[str, float]()
            for event in self._loaders[path].Load():
                for value in event.summary.value:
                    if values and event.step != step:
                        yield step, values
                        values = {}
                    if value.WhichOneof("value") == "simple_value":
                        step = event.step
                        values[value.tag] = value.simple_value
            if values:
                yield step, values
