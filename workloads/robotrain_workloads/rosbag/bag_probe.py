"""What the files of a bag tell without rosbags: its topics, and one in some messages. Standard library only.

The machine that a job is sent from has no rosbags: it reads SQLite and the index of MCAP files by itself.
"""

from __future__ import annotations

import itertools
import statistics
import struct
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from robotrain_workloads.bag_storage import COMPRESSED_SUFFIX
from robotrain_workloads.rosbag.bag_files import RECOVER_HINT, Bag, BagError
from robotrain_workloads.rosbag.file_checks import MCAP_MAGIC, METADATA, SQLITE_DAMAGED
from robotrain_workloads.rosbag.number_types import JOINT_TYPE, STAMPED_TYPES

IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
FOOTER_BYTES = 29 + len(MCAP_MAGIC)
LARGEST_READ = 64 << 20
"""Bytes of an index, or of a chunk of messages, that are read."""
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK_INDEX, _STATISTICS = 3, 4, 5, 8, 11
_STEPS_BETWEEN_LOOKS = 10_000
"""Of SQLite's program, some milliseconds."""
_ROWS = "SELECT id, timestamp, data FROM messages WHERE topic_id = ?"
_FIRST, _LAST = f"{_ROWS} ORDER BY id LIMIT 1", f"{_ROWS} ORDER BY id DESC LIMIT 1"
_MIDDLE = f"{_ROWS} AND id >= ? ORDER BY id LIMIT 1"
FIRST_MESSAGES = 200
_TIMES = f"SELECT timestamp FROM messages WHERE topic_id = ? ORDER BY id LIMIT {FIRST_MESSAGES}"


@dataclass
class ProbedTopic:
    """A topic of a bag."""

    type: str
    is_empty: bool = False
    """Whether it has no message; False if nobody looked."""
    samples: list[bytes] = field(default_factory=list)
    """Some of its messages, as they are stored; none if they are compressed."""
    recorded: list[int] = field(default_factory=list)
    """When each of these was recorded, in nanoseconds."""
    first: list[int] = field(default_factory=list)
    """When the first messages were recorded; of a topic with fewer than that all."""
    longest_ns: int | None = None
    """The most time between its first and its last message; None if it is unknown."""

    @property
    def is_complete(self) -> bool:
        """Whether these are all."""
        return 0 < len(self.first) < FIRST_MESSAGES

    @property
    def shortest_s(self) -> float:
        """The least time between two of these, in seconds; 0 with fewer than two, or if a clock goes back."""
        return max(
            min((next_ns - time_ns for time_ns, next_ns in itertools.pairwise(self.first)), default=0) / 1e9, 0.0
        )

    @property
    def rate(self) -> float:
        """The rate of the first messages, without gaps; 0 if it is unknown."""
        if not self.shortest_s:
            return 0.0
        gaps_ns = [next_ns - time_ns for time_ns, next_ns in itertools.pairwise(self.first)]
        regular_gaps = [gap for gap in gaps_ns if gap <= max(5 * statistics.median(gaps_ns), statistics.fmean(gaps_ns))]
        return 1e9 / statistics.fmean(regular_gaps)


def probe_bag(bag: Bag, sampled_topics: Collection[str], deadline: float) -> Mapping[str, ProbedTopic] | None:
    """Return the topics of a bag, with samples of some; None if only rosbags can read it, or if that takes too long.

    Raise BagError if it is cut off or damaged.

    :param deadline: by `time.monotonic`.
    """
    topics: dict[str, ProbedTopic] = {}
    is_compressed = bag.folder is not None and _is_compressed(bag.folder / METADATA)
    for file in bag.files:
        if file.suffix == COMPRESSED_SUFFIX or is_compressed:
            return None
        file_topics = (
            _probe_mcap(file, sampled_topics)
            if file.suffix == ".mcap"
            else _probe_sqlite(file, sampled_topics, deadline)
        )
        if file_topics is None:
            return None
        for name, topic in file_topics.items():
            probed_topic = topics.setdefault(name, ProbedTopic(topic.type, is_empty=True))
            probed_topic.is_empty = probed_topic.is_empty and topic.is_empty
            probed_topic.samples += topic.samples
            probed_topic.recorded += topic.recorded
            if len(bag.files) == 1:  # else there is time between files, and more in others
                probed_topic.first, probed_topic.longest_ns = topic.first, topic.longest_ns
    return topics or None


def parse_message(kind: str, data: bytes) -> Any:
    """Return the fields of a picture or of joints; None for another type. Raise ValueError if it has not its form."""
    try:
        reader = _CdrReader(data)
        if kind not in (IMAGE, COMPRESSED_IMAGE, JOINT_TYPE):
            return None
        reader.skip(8)  # the stamp
        reader.read_bytes()  # the frame
        if kind == JOINT_TYPE:
            return SimpleNamespace(name=[reader.read_text() for _ in range(reader.read_number())])
        if kind == COMPRESSED_IMAGE:
            return SimpleNamespace(format=reader.read_text(), data=reader.read_bytes())
        height, width, encoding = reader.read_number(), reader.read_number(), reader.read_text()
        reader.skip(1)
        step = reader.read_number()
        return SimpleNamespace(height=height, width=width, encoding=encoding, step=step, data=reader.read_bytes())
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError("a message does not have the form of its type") from error


def read_stamp(kind: str, message_bytes: bytes) -> int:
    """Return the time in the header of a message, in nanoseconds; 0 if it has none, or of another type."""
    if kind not in (IMAGE, COMPRESSED_IMAGE, *STAMPED_TYPES) or len(message_bytes) < 12:
        return 0
    seconds, nanoseconds = struct.unpack_from(
        "<iI" if message_bytes[1:2] in (b"\1", b"\3") else ">iI", message_bytes, 4
    )
    return int(seconds) * 10**9 + int(nanoseconds)


class _CdrReader:
    """Values of a message in the order of its fields."""

    def __init__(self, data: bytes) -> None:
        self._order = "<" if data[1:2] in (b"\1", b"\3") else ">"
        self._data, self._at = data[4:], 0

    def skip(self, count: int) -> None:
        self._at += count

    def read_number(self) -> int:
        self._at += -self._at % 4
        (number,) = struct.unpack_from(f"{self._order}I", self._data, self._at)
        self._at += 4
        return int(number)

    def read_bytes(self) -> bytes:
        length = self.read_number()
        if self._at + length > len(self._data):
            raise struct.error("it is too short")
        self._at += length
        return self._data[self._at - length : self._at]

    def read_text(self) -> str:
        return self.read_bytes().rstrip(b"\0").decode()


def _is_compressed(metadata: Path) -> bool:
    """Return whether the messages of a bag are compressed one by one."""
    metadata_text = metadata.read_text(encoding="utf-8", errors="replace") if metadata.is_file() else ""
    modes = [
        metadata_line.partition(":")[2].strip(" '\"").lower()
        for metadata_line in metadata_text.splitlines()
        if "compression_mode:" in metadata_line
    ]
    return any(mode not in ("", "none") for mode in modes)


def _probe_sqlite(file: Path, sampled_topics: Collection[str], deadline: float) -> dict[str, ProbedTopic] | None:
    try:
        import sqlite3
    except ImportError:  # some builds of Python have none
        return None
    if file.stat().st_size == 0:
        raise BagError(file, "the file is empty")
    if Path(f"{file}-journal").exists() or Path(f"{file}-wal").exists():  # its recorder may still write
        return None
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
            topics = {}
            for number, name, kind in connection.execute("SELECT id, name, type FROM topics").fetchall():
                if name not in sampled_topics:
                    topics[name] = ProbedTopic(kind)
                    continue
                rows = _sample_rows(connection, number)
                times = [time for time, _ in rows]
                first_times = [time for (time,) in connection.execute(_TIMES, (number,))]
                longest_ns = times[-1] - times[0] if times else None
                topics[name] = ProbedTopic(
                    kind, not rows, [message_bytes for _, message_bytes in rows], times, first_times, longest_ns
                )
            return topics
    except sqlite3.DatabaseError as error:
        if time.monotonic() > deadline:  # it was interrupted
            return None
        raise BagError(file, SQLITE_DAMAGED) from error


def _sample_rows(connection: Any, topic: int) -> list[tuple[int, bytes]]:
    """Return the first, the last and one other message of a topic, with their times; none if it has none."""
    rows = [*connection.execute(_FIRST, (topic,))]
    if rows:
        rows += connection.execute(_LAST, (topic,))
        rows += connection.execute(_MIDDLE, (topic, sum(number for number, _, _ in rows) // len(rows)))
    return [(time, bytes(message_bytes)) for _, time, message_bytes in sorted(set(rows))]


def _probe_mcap(file: Path, sampled_topics: Collection[str]) -> dict[str, ProbedTopic] | None:
    size = file.stat().st_size
    if size == 0:
        raise BagError(file, "the file is empty")
    with file.open("rb") as stream:
        is_whole = stream.read(len(MCAP_MAGIC)) == MCAP_MAGIC and size >= FOOTER_BYTES
        footer = _read_at(stream, max(size - FOOTER_BYTES, 0), FOOTER_BYTES)
        if not is_whole or not footer.endswith(MCAP_MAGIC):
            reason = "the file ends too early: it is cut off, or its recorder was killed"
            raise BagError(file, reason + RECOVER_HINT)
        (start,) = struct.unpack_from("<Q", footer, 9)
        if not 0 < start < size or size - start > LARGEST_READ:
            return None
        try:
            return _read_index(stream, _read_at(stream, start, size - FOOTER_BYTES - start), sampled_topics)
        except (struct.error, UnicodeDecodeError, KeyError):  # another kind of index
            return None


def _read_at(stream: IO[bytes], offset: int, count: int) -> bytes:
    stream.seek(offset)
    return stream.read(count)


def _read_index(stream: IO[bytes], index: bytes, sampled: Collection[str]) -> dict[str, ProbedTopic] | None:
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[int, str]] = {}
    counts: dict[int, int] | None = None
    longest_ns: int | None = None
    chunks: list[tuple[int, int, str]] = []
    for kind, record_bytes in _iterate_records(index):
        if kind == _SCHEMA:
            schemas[struct.unpack_from("<H", record_bytes)[0]] = _read_string(record_bytes, 2)
        elif kind == _CHANNEL:
            number, schema = struct.unpack_from("<HH", record_bytes)
            channels[number] = (schema, _read_string(record_bytes, 4))
        elif kind == _STATISTICS:
            (length,) = struct.unpack_from("<I", record_bytes, 42)
            channel_counts = struct.iter_unpack("<HQ", record_bytes[46 : 46 + length])
            counts = dict(channel_counts)
            start_ns, end_ns = struct.unpack_from("<QQ", record_bytes, 26)
            longest_ns = end_ns - start_ns
        elif kind == _CHUNK_INDEX:
            offset, length = struct.unpack_from("<QQ", record_bytes, 16)
            (offsets,) = struct.unpack_from("<I", record_bytes, 32)
            chunks.append((offset, length, _read_string(record_bytes, 36 + offsets + 8)))
    if counts is None or not channels:
        return None
    topics: dict[str, ProbedTopic] = {}
    for number, (schema, name) in channels.items():
        topic = topics.setdefault(name, ProbedTopic(schemas[schema], is_empty=True))
        topic.is_empty = topic.is_empty and not counts.get(number)
        topic.longest_ns = longest_ns
    channel_names = {number: name for number, (_, name) in channels.items()}
    for offset, length, compression in dict.fromkeys((*chunks[:1], *chunks[-1:])):
        if not compression and length <= LARGEST_READ:
            _add_samples(_read_at(stream, offset, length), channel_names, sampled, topics)
    return topics


def _add_samples(
    chunk: bytes, channel_names: Mapping[int, str], sampled_topics: Collection[str], topics: Mapping[str, ProbedTopic]
) -> None:
    """Add the first and the last message of some topics in a chunk that is not compressed."""
    (length,) = struct.unpack_from("<I", chunk, 9 + 28)  # of the name of its compression, which is empty
    messages: dict[str, list[tuple[int, bytes]]] = {}
    for kind, record_bytes in _iterate_records(chunk[9 + 32 + length + 8 :]):
        if (
            kind == _MESSAGE
            and (name := channel_names.get(struct.unpack_from("<H", record_bytes)[0], "")) in sampled_topics
        ):
            (recorded_ns,) = struct.unpack_from("<Q", record_bytes, 6)
            messages.setdefault(name, []).append((recorded_ns, record_bytes[22:]))
    for name, stored_messages in messages.items():
        topics[name].first = topics[name].first or [recorded_ns for recorded_ns, _ in stored_messages[:FIRST_MESSAGES]]
        for recorded_ns, message_bytes in dict.fromkeys((stored_messages[0], stored_messages[-1])):
            topics[name].recorded.append(recorded_ns)
            topics[name].samples.append(message_bytes)


def _iterate_records(records_bytes: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 9 <= len(records_bytes):
        kind, length = struct.unpack_from("<BQ", records_bytes, offset)
        yield kind, records_bytes[offset + 9 : offset + 9 + length]
        offset += 9 + length


def _read_string(record_bytes: bytes, offset: int) -> str:
    (length,) = struct.unpack_from("<I", record_bytes, offset)
    return record_bytes[offset + 4 : offset + 4 + length].decode()
