"""TensorBoard's event files, read while they are written.

A file is a series of records: the size, its checksum, an `Event` of protobuf, its checksum. Only small records are
parsed: scalars are, and images and histograms cost nothing.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robotrain_workloads.supervision.metric_row import MetricRow

EVENT_FILES = "events.out.tfevents.*"
HEADER, FOOTER = struct.Struct("<QI"), 4
MAX_RECORD_BYTES = 1 << 18
DT_FLOAT, DT_DOUBLE = 1, 2


class EventFile:
    """Reads what is new in an event file; a record that is still being written is read later."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self._offset = offset

    def read_new(self) -> Iterator[MetricRow]:
        """Yield the new values by tag, in the order that they were written. Raise OSError."""
        row: MetricRow | None = None
        for record in self._read_records():
            if not (new_row := _parse_event(record)):
                continue
            if row and row.step == new_row.step:
                row = row._replace(values={**row.values, **new_row.values})
                continue
            if row:
                yield row
            row = new_row
        if row:
            yield row

    def _read_records(self) -> Iterator[bytes]:
        with self.path.open("rb", buffering=MAX_RECORD_BYTES) as file:
            file.seek(0, 2)
            size = file.tell()
            while self._offset + HEADER.size <= size:
                file.seek(self._offset)
                length, _ = HEADER.unpack(file.read(HEADER.size))
                record_end = self._offset + HEADER.size + length + FOOTER
                if record_end > size:
                    return
                self._offset = record_end
                if length <= MAX_RECORD_BYTES:
                    yield file.read(length)


class EventFileReader:
    """Reads what is new in the event files of a folder, and below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, EventFile] = {}

    def read_new(self) -> Iterator[MetricRow]:
        """Yield the new values by tag, in the order that they were written."""
        for path in sorted(self._folder.rglob(EVENT_FILES)):
            yield from self._files.setdefault(path, EventFile(path)).read_new()


def _parse_event(record: bytes) -> MetricRow | None:
    """Return the step and the scalars of an event; None if it has none, or is damaged."""
    from tensorboard.compat.proto import event_pb2 as protos

    try:
        event = protos.Event.FromString(record)
    except Exception:  # protobuf's error is a class of its own in each implementation
        return None
    scalars = ((scalar.tag, _get_scalar(scalar)) for scalar in event.summary.value)
    values_by_tag = {tag: number for tag, number in scalars if number is not None}
    return MetricRow(event.step, values_by_tag, time=event.wall_time) if values_by_tag else None


def _get_scalar(scalar: Any) -> float | None:
    """Return a scalar, also as TensorFlow 2 writes it; None for anything else."""
    kind = scalar.WhichOneof("value")
    if kind == "simple_value":
        return float(scalar.simple_value)
    if kind != "tensor" or scalar.tensor.tensor_shape.dim:
        return None
    tensor = scalar.tensor
    tensor_numbers, struct_format = (tensor.float_val, "<f") if tensor.dtype == DT_FLOAT else (tensor.double_val, "<d")
    if tensor.dtype not in (DT_FLOAT, DT_DOUBLE):
        return None
    if tensor_numbers:
        return float(tensor_numbers[0])
    is_whole = len(tensor.tensor_content) == struct.calcsize(struct_format)
    return float(struct.unpack(struct_format, tensor.tensor_content)[0]) if is_whole else None
