"""Messages of storage files, in the order of recording: by log time, as rosbags has them, a clock's jump is hidden."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from robotrain_workloads.bag_parameters import COMPRESSED_SUFFIX, get_plain_path

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


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
