"""Messages of storage files, in the order of recording: by log time, as rosbags has them, a clock's jump is hidden."""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from robotrain_workloads.bag_storage import COMPRESSED_SUFFIX, get_plain_path

# CROSS JOIN: messages are read in the order of their table, without sorting them.
_SQLITE_QUERY = """
SELECT topics.name, messages.timestamp, messages.data FROM messages CROSS JOIN topics ON topics.id = messages.topic_id
WHERE topics.name IN ({}) ORDER BY messages.id
"""


class RawMessage(NamedTuple):
    """A message as it is stored."""

    topic: str
    log_ns: int
    """Nanoseconds since 1970 when the recorder received it."""
    data: bytes


def open_storage(path: Path) -> IO[bytes]:
    """Open a storage file for reading, decompressed. Raise OSError."""
    return _zstd().open(path, "rb") if path.suffix == COMPRESSED_SUFFIX else path.open("rb")


def decompress_file(path: Path, folder: Path) -> Path:
    """Return the path of a storage file that is not compressed; a compressed one is written to the folder.

    Raises:
        OSError, EOFError, and the error of zstd: the file is cut off or damaged, or there is no room.
    """
    if path.suffix != COMPRESSED_SUFFIX:
        return path
    plain_path = folder / get_plain_path(path).name
    with open_storage(path) as source, plain_path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return plain_path


@contextmanager
def tolerate_other_encodings() -> Iterator[None]:
    """Let rosbags open an MCAP file that has a channel of another encoding beside those that are read.

    rosbags 0.11 refuses the whole file with a KeyError.
    """
    from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
    from rosbags.rosbag2 import storage_mcap

    module: Any = storage_mcap
    get_definition = module.get_msgdef

    def get_known_definition(schema: Any) -> MessageDefinition:
        try:
            definition: MessageDefinition = get_definition(schema)
        except KeyError:
            return MessageDefinition(MessageDefinitionFormat.NONE, "")
        return definition

    module.get_msgdef = get_known_definition
    try:
        yield
    finally:
        module.get_msgdef = get_definition


def iterate_messages(reader: Any, topics: Collection[str]) -> Iterator[RawMessage]:
    """Yield the messages of some topics of a `rosbags.highlevel.AnyReader`, in the order of recording.

    Damage raises the error of SQLite, MCAP or zstd.
    """
    for bag in reader.readers:
        for file in getattr(bag.storage, "storages", (bag.storage,)):
            for message in _iterate_file(file, topics):
                if bag.compression_mode == "message":
                    message = message._replace(data=_zstd().decompress(message.data))
                yield message


def _iterate_file(storage: Any, topics: Collection[str]) -> Iterator[RawMessage]:
    if storage.path.suffix == ".mcap":
        with storage.path.open("rb") as stream:
            yield from (message for message, _ in iterate_mcap(stream) if message.topic in topics)
    else:
        query = _SQLITE_QUERY.format(",".join("?" * len(topics)))
        yield from map(RawMessage._make, storage.dbconn.execute(query, tuple(topics)))


def iterate_mcap(stream: IO[bytes]) -> Iterator[tuple[RawMessage, Any]]:
    """Yield each message of an MCAP file with the schema of its topic, chunk by chunk. Damage raises MCAP's errors."""
    from mcap.records import Channel, Message, Schema
    from mcap.stream_reader import StreamReader

    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in StreamReader(stream).records:
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            channel = channels[record.channel_id]
            yield RawMessage(channel.topic, record.log_time, record.data), schemas.get(channel.schema_id)


@dataclass
class SalvagedTopic:
    """What is known of a topic, with the names that rosbags uses."""

    msgtype: str
    msgcount: int = 0


class SalvagedReader:
    """The whole chunks of MCAP files that end too early. All messages are in memory."""

    def __init__(self, files: Sequence[Path], store: Any) -> None:
        from mcap.exceptions import McapError
        from rosbags.typesys import get_types_from_msg

        self._store = store
        self._messages: list[RawMessage] = []
        self.topics: dict[str, SalvagedTopic] = {}
        damage_errors = (
            McapError,
            EOFError,
            OSError,
            struct.error,
            ValueError,
            RuntimeError,
            LookupError,
            _zstd().ZstdError,
        )
        for file in files:
            with suppress(*damage_errors), open_storage(file) as stream:
                for message, schema in iterate_mcap(stream):
                    if schema is None:
                        continue
                    if schema.name not in store.types:
                        store.register(get_types_from_msg(schema.data.decode(), schema.name))
                    self._messages.append(message)
                    self.topics.setdefault(message.topic, SalvagedTopic(schema.name)).msgcount += 1

    @property
    def last_ns(self) -> int | None:
        """The log time of the last message; None without one."""
        return self._messages[-1].log_ns if self._messages else None

    @property
    def count(self) -> int:
        """How many messages were read."""
        return len(self._messages)

    def iterate_messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of some topics in the order of recording."""
        return (message for message in self._messages if message.topic in topics)

    def deserialize(self, raw: bytes, msgtype: str) -> Any:
        """Return a message from its bytes."""
        return self._store.deserialize_cdr(raw, msgtype)


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
