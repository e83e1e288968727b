"""Files of JSON objects, a line each, read while they are written."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_workloads.supervision.metric_row import MetricRow, clean_name, parse_step

METRICS_FILE = "metrics.jsonl"
STEP_KEYS = ("step", "global_step", "iteration", "epoch")
"""What counts steps, of several the first; the others are metrics."""
TIME_KEYS = ("time", "timestamp", "wall_time", "_timestamp")
MAX_BLOCK_BYTES = 1 << 22


class NewLines:
    """Reads the new lines of a file; one that is not complete is read later."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset

    def read_new(self) -> Iterator[bytes]:
        """Yield the new lines, without their ends. Raise OSError."""
        with self._path.open("rb") as file:
            if file.seek(0, 2) < self._offset:  # written anew
                self._offset = 0
            file.seek(self._offset)
            while block := file.read(MAX_BLOCK_BYTES):
                complete_lines, line_end, incomplete_line = block.rpartition(b"\n")
                if not line_end and len(incomplete_line) < MAX_BLOCK_BYTES:
                    return
                self._offset += (
                    len(complete_lines) + 1 if line_end else len(incomplete_line)
                )  # a longer line is none of metrics
                file.seek(self._offset)
                yield from complete_lines.split(b"\n") if line_end else ()


class JsonLines:
    """Reads the new objects of a file; a line that is none is left out."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._lines = NewLines(path, offset)

    def read_new(self) -> Iterator[dict[str, Any]]:
        """Yield the new objects. Raise OSError."""
        for json_line in self._lines.read_new():
            try:
                record = json.loads(json_line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield record


class ReportReader:
    """Reads what a program of robotrain's reports, which has objects alone; there may be no file yet."""

    def __init__(self, path: Path) -> None:
        self._lines = NewLines(path)

    def read_new(self) -> Iterator[dict[str, Any]]:
        """Yield the new reports. Raise ValueError for a line that is none."""
        with suppress(FileNotFoundError):
            yield from map(json.loads, self._lines.read_new())


class MetricsFile:
    """Reads a `metrics.jsonl`. Lines without a step are counted."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._lines = JsonLines(path, offset)
        self._count = 0

    def read_new(self) -> Iterator[MetricRow]:
        """Yield the new rows. Raise OSError."""
        for record in self._lines.read_new():
            self._count += 1
            steps_by_key = ((name, parse_step(record[name])) for name in STEP_KEYS if name in record)
            key, step = next(((name, step) for name, step in steps_by_key if step is not None), ("", self._count))
            values_by_name = dict(list_numbers({name: value for name, value in record.items() if name != key}))
            if values_by_name:
                yield MetricRow(step, values_by_name, time=get_time(record))


def get_time(record: dict[str, Any]) -> float:
    """Return when an object was written, in seconds; 0 if it does not say."""
    times = (record.get(name) for name in TIME_KEYS)
    return next((_to_float(number) for number in times if isinstance(number, int | float)), 0.0)


def list_numbers(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of an object by name; those of an object in it as `train/loss`."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from list_numbers(value, f"{prefix}{name}/")
        elif type(value) in (int, float) and name not in TIME_KEYS:
            yield clean_name(prefix + name) or "_", _to_float(value)


def _to_float(value: float) -> float:
    """Return a number of JSON, of which an integer may be larger than any float."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
