"""Find ROS 2 bags in a folder and read their messages; damage is a `BagError` that names the file and the time.

How damaged bags answer was measured with rosbags 0.11.9: `docs/rosbag.md` has the table.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

METADATA = "metadata.yaml"
STORAGE_SUFFIXES = (".db3", ".mcap")
_PART = re.compile(r"^(?P<name>.+)_(?P<part>\d+)$")
_NANOSECONDS = 1_000_000_000


class BagError(ValueError):
    """A bag, or a message in it, that cannot be used."""

    def __init__(self, file: Path, why: str, time_ns: int | None = None) -> None:
        self.file, self.why, self.time_ns = file, why, time_ns
        at = "" if time_ns is None else f" at {format_time(time_ns)}"
        super().__init__(f"{file}{at}: {why}")


@dataclass(frozen=True)
class Bag:
    """The files of one recording."""

    name: str
    """Its path below the folder that was searched, without a suffix."""
    files: tuple[Path, ...]
    """The storage files, in the order of recording."""
    folder: Path | None = None
    """The folder with `metadata.yaml`; None where there is none."""

    @property
    def path(self) -> Path:
        """What messages name: the folder, or the first file."""
        return self.folder or self.files[0]


@dataclass(frozen=True)
class Topic:
    """A topic of a bag."""

    type: str
    """The message type, such as `sensor_msgs/msg/JointState`."""
    count: int
    """Messages according to the bag's own summary."""


@dataclass(frozen=True)
class Message:
    """A message and when it was recorded."""

    topic: str
    type: str
    log_ns: int
    """Nanoseconds since 1970 when the recorder received it."""
    content: Any


def find_bags(folder: Path) -> list[Bag]:
    """Return the bags in a folder and below it, by name.

    Raises:
        BagError: there is none, or a folder has metadata and no storage file.
    """
    bags: list[Bag] = []
    for one in sorted({folder, *(path.parent for path in folder.rglob("*") if path.is_file())}):
        if any(part.startswith(".") for part in one.relative_to(folder).parts):
            continue
        files = sorted((path for path in one.iterdir() if path.suffix in STORAGE_SUFFIXES), key=_get_part)
        if (one / METADATA).is_file():
            if not files:
                raise BagError(one, f"has {METADATA} but no file that ends in {' or '.join(STORAGE_SUFFIXES)}")
            bags.append(Bag(name=_make_name(folder, one), files=tuple(files), folder=one))
            continue
        parts: dict[str, list[Path]] = {}
        for file in files:
            match = _PART.match(file.stem)
            parts.setdefault(match["name"] if match and not _stands_alone(file) else file.stem, []).append(file)
        alone = len(parts) == 1 and one != folder
        for stem, group in parts.items():
            name = _make_name(folder, one) if alone else _make_name(folder, one / stem)
            bags.append(Bag(name=name, files=tuple(group)))
    if not bags:
        raise BagError(folder, f"holds no ROS 2 bag: no file below it ends in {' or '.join(STORAGE_SUFFIXES)}")
    return sorted(bags, key=lambda bag: bag.name)


class OpenBag:
    """A bag that is open for reading."""

    def __init__(self, bag: Bag, topics: Mapping[str, Topic], reader: Any, salvaged: str = "") -> None:
        self.bag, self.topics, self._reader = bag, topics, reader
        self.salvaged = salvaged
        """How much of a damaged file was read; empty for a whole one."""

    def read(self, topics: Collection[str]) -> Iterator[Message]:
        """Yield the messages of some topics in the order of their log times.

        Raises:
            BagError: the storage is damaged, or a message does not have its type's form.
        """
        last: int | None = None
        connections = [one for one in self._reader.connections if one.topic in topics]
        messages = self._reader.messages(connections) if connections else iter(())
        while True:
            try:
                connection, log_ns, raw = next(messages)
                content = self._reader.deserialize(raw, connection.msgtype)
            except StopIteration:
                return
            except Exception as error:  # apsw, lz4 and zstd have no common error; each means damage here
                raise BagError(self.bag.path, f"the file is damaged after this time: {error}", last) from error
            last = log_ns
            yield Message(connection.topic, connection.msgtype, log_ns, content)


@contextlib.contextmanager
def open_bag(bag: Bag, *, salvage: bool = False) -> Iterator[OpenBag]:
    """Open a bag for reading.

    Args:
        bag: The bag.
        salvage: Read the whole chunks of an MCAP file that ends too early.

    Raises:
        BagError: it cannot be opened, or holds no message.
    """
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.LATEST)
    with contextlib.ExitStack() as stack:
        salvaged = ""
        try:
            paths = [bag.folder] if bag.folder else list(bag.files)
            reader: Any = stack.enter_context(AnyReader(paths, default_typestore=store))
        except (AnyReaderError, OSError, ValueError, KeyError) as error:
            reader = _salvage(bag, store) if salvage else None
            if reader is None:
                raise BagError(_find_damaged(bag, error), _explain_unreadable(bag, error)) from error
            salvaged = reader.describe()
        topics = {name: Topic(info.msgtype or "", info.msgcount) for name, info in reader.topics.items()}
        if not sum(topic.count for topic in topics.values()):
            why = "holds no message"
            if any(Path(f"{file}-journal").exists() for file in bag.files) or bag.folder is None:
                why += ": the recorder was stopped before it closed the file"
            raise BagError(bag.path, why)
        yield OpenBag(bag, topics, reader, salvaged)


def format_time(time_ns: int) -> str:
    """Return a time in UTC with milliseconds."""
    at = datetime.fromtimestamp(time_ns / _NANOSECONDS, tz=timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def _salvage(bag: Bag, store: Any) -> Any:
    files = [file for file in bag.files if file.suffix == ".mcap"]
    return SalvagedReader(files, store) if files else None


class SalvagedConnection(NamedTuple):
    """A topic and its type."""

    topic: str
    msgtype: str


@dataclass
class SalvagedTopic:
    """What is known of a topic, with the names that rosbags uses."""

    msgtype: str
    msgcount: int = 0


class SalvagedReader:
    """The whole chunks of MCAP files that end too early, in place of `rosbags.highlevel.AnyReader`: the part of its
    interface that this package uses. All messages are in memory.
    """

    def __init__(self, files: Sequence[Path], store: Any) -> None:
        self._store = store
        self._messages: list[tuple[SalvagedConnection, int, bytes]] = []
        self.topics: dict[str, SalvagedTopic] = {}
        for file in files:
            for connection, log_ns, raw in self._read_file(file):
                self._messages.append((connection, log_ns, raw))
                self.topics.setdefault(connection.topic, SalvagedTopic(connection.msgtype)).msgcount += 1
        self._messages.sort(key=lambda message: message[1])

    @property
    def connections(self) -> list[SalvagedConnection]:
        """One connection for each topic."""
        return [SalvagedConnection(name, topic.msgtype) for name, topic in self.topics.items()]

    def describe(self) -> str:
        """Return how much was read."""
        if not self._messages:
            return "nothing: no chunk is whole"
        return f"{len(self._messages)} messages, until {format_time(self._messages[-1][1])}"

    def messages(self, connections: Sequence[SalvagedConnection]) -> Iterator[tuple[SalvagedConnection, int, bytes]]:
        """Yield the messages of some topics by log time."""
        wanted = {connection.topic for connection in connections}
        return (message for message in self._messages if message[0].topic in wanted)

    def deserialize(self, raw: bytes, msgtype: str) -> Any:
        """Return a message from its bytes."""
        return self._store.deserialize_cdr(raw, msgtype)

    def _read_file(self, file: Path) -> Iterator[tuple[SalvagedConnection, int, bytes]]:
        import struct

        from mcap.exceptions import McapError
        from mcap.records import Channel, Message, Schema
        from mcap.stream_reader import StreamReader
        from rosbags.typesys import get_types_from_msg

        schemas: dict[int, Schema] = {}
        connections: dict[int, SalvagedConnection] = {}
        with file.open("rb") as stream:
            try:
                for record in StreamReader(stream).records:
                    if isinstance(record, Schema):
                        schemas[record.id] = record
                    elif isinstance(record, Channel):
                        name = schemas[record.schema_id].name
                        connections[record.id] = SalvagedConnection(record.topic, name)
                        if name not in self._store.types:
                            text = schemas[record.schema_id].data.decode()
                            self._store.register(get_types_from_msg(text, name))
                    elif isinstance(record, Message):
                        yield connections[record.channel_id], record.log_time, record.data
            except (McapError, EOFError, struct.error, ValueError, RuntimeError):
                return  # the cut


def _explain_unreadable(bag: Bag, error: Exception) -> str:
    text = str(error)
    if "end magic" in text:
        return (
            "the file ends too early: it is cut off, or its recorder was killed; --salvage reads the chunks that are"
            " whole"
        )
    if "malformed" in text or "missing tables" in text:
        return "the SQLite file is cut off or damaged, and nothing of it can be read; record it again, or leave it out"
    if "empty" in text:
        return "the file is empty"
    if "YAML" in text:
        return f"{METADATA} is damaged; remove it to read the storage file without it"
    if "Some database files are missing" in text:
        return f"{METADATA} names a storage file that is not there"
    return text


def _find_damaged(bag: Bag, error: Exception) -> Path:
    named = [file for file in bag.files if file.name in str(error)]
    return named[0] if named else bag.files[0] if len(bag.files) == 1 else bag.path


def _make_name(top: Path, path: Path) -> str:
    return path.relative_to(top).as_posix() if path != top else top.resolve().name


def _get_part(file: Path) -> tuple[str, int]:
    match = _PART.match(file.stem)
    return (match["name"], int(match["part"])) if match else (file.stem, 0)


def _stands_alone(file: Path) -> bool:
    """Return whether a numbered file is a recording of its own: part 0 of it is not there."""
    match = _PART.match(file.stem)
    return match is not None and not file.with_name(f"{match['name']}_0{file.suffix}").exists()
