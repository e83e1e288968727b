"""Find ROS 2 bags in a folder and read their messages; damage is a `BagError` that names the file and the time.

How damaged bags answer was measured with rosbags 0.11.9: `docs/rosbag.md` has the table.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_workloads.bag_storage import COMPRESSED_SUFFIX, STORAGE_SUFFIXES, get_plain_path, is_storage_file
from robotrain_workloads.rosbag.file_checks import (
    METADATA,
    SQLITE_DAMAGED,
    find_file_faults,
    has_other_formats,
)
from robotrain_workloads.rosbag.storage import (
    RawMessage,
    decompress_file,
    iterate_messages,
    tolerate_other_encodings,
)

_PART = re.compile(r"^(?P<name>.+)_(?P<part>\d+)$")
_NANOSECONDS = 1_000_000_000
_MAX_LISTED = 12
RECOVER_HINT = "; `mcap recover FILE -o NEW_FILE` keeps the chunks that are whole"


class BagError(ValueError):
    """A bag, or a message in it, that cannot be used."""

    def __init__(self, file: Path, reason: str, time_ns: int | None = None) -> None:
        self.file, self.why, self.time_ns = file, reason, time_ns
        time_text = "" if time_ns is None else f" at {format_time(time_ns)}"
        super().__init__(f"{file}{time_text}: {reason}")


class UnknownBag(BagError):
    """A name that no bag has."""

    def __init__(self, folder: Path, name: str, names: Sequence[str]) -> None:
        nearest_names = difflib.get_close_matches(name, names, 2)
        self.name, self.near = name, nearest_names if len(nearest_names) == 1 else []
        names_text = ", ".join(names[:_MAX_LISTED]) + (", …" if len(names) > _MAX_LISTED else "")
        super().__init__(folder, f"no bag has the name {name}, so that it cannot be left out; there are {names_text}")


@dataclass(frozen=True)
class Bag:
    """The files of one recording."""

    name: str
    """Its path below the folder that was searched, without a suffix."""
    files: tuple[Path, ...]
    """The storage files, in the order of recording; none where only `metadata.yaml` is there."""
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
        BagError: there is none.
    """
    bags: list[Bag] = []
    for bag_folder in sorted({folder, *(path.parent for path in folder.rglob("*") if path.is_file())}):
        if any(part.startswith(".") for part in bag_folder.relative_to(folder).parts):
            continue
        files = sorted((path for path in bag_folder.iterdir() if is_storage_file(path)), key=_get_part)
        if (bag_folder / METADATA).is_file():
            bags.append(Bag(name=_make_name(folder, bag_folder), files=tuple(files), folder=bag_folder))
            continue
        files_by_name: dict[str, list[Path]] = {}
        for file in files:
            if file != get_plain_path(file) and get_plain_path(file) in files:
                continue  # it was decompressed by hand
            recording_name = get_plain_path(file).stem
            match = _PART.match(recording_name)
            files_by_name.setdefault(match["name"] if match and not _stands_alone(file) else recording_name, []).append(
                file
            )
        is_single_file = len(files_by_name) == 1 and bag_folder != folder
        for recording_name, recording_files in files_by_name.items():
            name = _make_name(folder, bag_folder) if is_single_file else _make_name(folder, bag_folder / recording_name)
            bags.append(Bag(name=name, files=tuple(recording_files)))
    if not bags:
        raise BagError(folder, f"holds no ROS 2 bag: no file below it ends in {' or '.join(STORAGE_SUFFIXES)}")
    return sorted(bags, key=lambda bag: bag.name)


def select_bags(folders: Sequence[Path], excluded_names: Collection[str]) -> list[list[Bag]]:
    """Return the bags of each folder, without those of some names.

    Raises:
        BagError: a folder holds no bag, or none is left.
        UnknownBag: no folder has a bag of one of the names.
    """
    bag_groups = [find_bags(folder) for folder in folders]
    bag_names = [bag.name for bags in bag_groups for bag in bags]
    for name in excluded_names:
        if name not in bag_names:
            raise UnknownBag(folders[0], name, bag_names)
    remaining_bags = [[bag for bag in bags if bag.name not in excluded_names] for bags in bag_groups]
    if not any(remaining_bags):
        raise BagError(folders[0], "all bags are left out")
    return remaining_bags


class OpenBag:
    """A bag that is open for reading."""

    def __init__(
        self,
        bag: Bag,
        topics: Mapping[str, Topic],
        iterate: Callable[[Collection[str]], Iterator[RawMessage]],
        deserialize: Callable[[bytes, str], Any],
    ) -> None:
        self.bag, self.topics = bag, topics
        self._iterate, self._deserialize = iterate, deserialize

    def read(self, topics: Collection[str]) -> Iterator[Message]:
        """Yield the messages of some topics in the order of recording.

        Raises:
            BagError: the storage is damaged, or a message does not have its type's form.
        """
        last_ns: int | None = None
        messages = self._iterate([topic for topic in topics if topic in self.topics])
        while True:
            try:
                topic, log_ns, message_bytes = next(messages)
                content = self._deserialize(message_bytes, self.topics[topic].type)
            except StopIteration:
                return
            except Exception as error:  # apsw, mcap, lz4 and zstd have no common error; each means damage here
                raise BagError(self.bag.path, f"the file is damaged after this time: {error}", last_ns) from error
            last_ns = log_ns
            yield Message(topic, self.topics[topic].type, log_ns, content)


@contextlib.contextmanager
def open_bag(bag: Bag) -> Iterator[OpenBag]:
    """Open a bag for reading.

    Raises:
        BagError: it cannot be opened, or holds no message.
    """
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    if not bag.files:
        raise BagError(bag.path, f"has {METADATA} but no file that ends in {' or '.join(STORAGE_SUFFIXES)}")
    check_files(bag)
    store = get_typestore(Stores.LATEST)
    with contextlib.ExitStack() as stack:
        try:
            if bag.folder and not has_other_formats(bag.folder):
                paths = [bag.folder]
            else:
                scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robotrain-bag-")))
                paths = [decompress_file(file, scratch) for file in bag.files]
            with tolerate_other_encodings():
                reader: Any = stack.enter_context(AnyReader(paths, default_typestore=store))
        except Exception as error:  # damage: rosbags, apsw, mcap and zstd have no common error
            named_files = [file for file in bag.files if get_plain_path(file).name in str(error)]
            damaged_path = named_files[0] if named_files else bag.files[0] if len(bag.files) == 1 else bag.path
            raise BagError(damaged_path, _explain_unreadable(bag, error)) from error
        topics = {
            name: Topic(topic_info.msgtype or "", topic_info.msgcount) for name, topic_info in reader.topics.items()
        }
        if not sum(topic.count for topic in topics.values()):
            reason = "holds no message"
            if any(Path(f"{file}-journal").exists() for file in bag.files) or bag.folder is None:
                reason += ": the recorder was stopped before it closed the file"
            raise BagError(bag.path, reason)
        yield OpenBag(bag, topics, partial(iterate_messages, reader), reader.deserialize)


def check_files(bag: Bag) -> None:
    """Check what the first bytes of a bag's files and its `metadata.yaml` tell. Raise BagError for the first fault."""
    for file, reason in find_file_faults(bag.files, bag.folder):
        raise BagError(file, reason)


def format_time(time_ns: int) -> str:
    """Return a time in UTC with milliseconds."""
    moment = datetime.fromtimestamp(time_ns / _NANOSECONDS, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _explain_unreadable(bag: Bag, error: Exception) -> str:
    error_text = str(error)
    if getattr(error, "errno", None) == errno.ENOSPC:
        return f"there is no room in {tempfile.gettempdir()} to decompress it; TMPDIR names another folder"
    if "end magic" in error_text or isinstance(error, EOFError):
        reason = "the file ends too early: it is cut off, or its recorder was killed"
        if any(get_plain_path(file).suffix == ".mcap" for file in bag.files):
            reason += RECOVER_HINT
        return reason
    if type(error).__name__ == "ZstdError":
        return "the compressed file is damaged; record it again, or leave it out"
    if "malformed" in error_text or "missing tables" in error_text:
        return SQLITE_DAMAGED
    if "empty" in error_text:
        return "the file is empty"
    if "YAML" in error_text:
        return f"{METADATA} is damaged; remove it to read the storage file without it"
    return error_text or type(error).__name__


def _make_name(top: Path, path: Path) -> str:
    return path.relative_to(top).as_posix() if path != top else top.resolve().name


def _get_part(file: Path) -> tuple[str, int]:
    stem = get_plain_path(file).stem
    match = _PART.match(stem)
    return (match["name"], int(match["part"])) if match else (stem, 0)


def _stands_alone(file: Path) -> bool:
    """Return whether a numbered file is a recording of its own: part 0 of it is not there."""
    plain_path = get_plain_path(file)
    match = _PART.match(plain_path.stem)
    if match is None:
        return False
    first_file = plain_path.with_name(f"{match['name']}_0{plain_path.suffix}")
    return not first_file.exists() and not first_file.with_name(first_file.name + COMPRESSED_SUFFIX).exists()
