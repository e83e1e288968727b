"""Read the whole chunks of MCAP files that end too early, in place of the reader of rosbags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_workloads.rosbag_act_train.bags.bag_files import format_time


@dataclass(frozen=True)
class SalvagedConnection:
    """A topic and its type."""

    topic: str
    msgtype: str


@dataclass
class SalvagedTopic:
    """What is known of a topic, with the names that rosbags uses."""

    msgtype: str
    msgcount: int = 0


class SalvagedReader:
    """The part of the interface of `rosbags.highlevel.AnyReader` that this package uses. All messages are in memory."""

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
