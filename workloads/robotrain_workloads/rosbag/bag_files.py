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

from robotrain_workloads.bag_parameters import COMPRESSED_SUFFIX, STORAGE_SUFFIXES, get_plain_path, is_storage_file
from robotrain_workloads.rosbag.storage import (
    RawMessage,
    decompress_file,
    iterate_messages,
    tolerate_other_encodings,
)

METADATA = "metadata.yaml"
_LFS_POINTER = b"version https://git-lfs"
_OTHER_FORMAT = "Serialization format"
"""In the error of rosbags about a bag that has messages of another format beside those of ROS 2."""
_PART = re.compile(r"^(?P<name>.+)_(?P<part>\d+)$")
_NANOSECONDS = 1_000_000_000
_MAX_LISTED = 12


class BagError(ValueError):
    """A bag, or a message in it, that cannot be used."""

    def __init__(self, file: Path, reason: str, time_ns: int | None = None, way: str = "") -> None:
        self.file, self.why, self.time_ns, self.way = file, reason, time_ns, way
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
    if not bag.files:
        raise BagError(bag.path, f"has {METADATA} but no file that ends in {' or '.join(STORAGE_SUFFIXES)}")
    with contextlib.ExitStack() as stack:
        try:
            with tolerate_other_encodings():
                reader = _open_reader(bag, stack)
        except Exception as error:  # damage: rosbags, apsw, mcap and zstd have no common error
            raise _explain_unreadable(bag, error) from error
        topics = {
            name: Topic(topic_info.msgtype or "", topic_info.msgcount) for name, topic_info in reader.topics.items()
        }
        if not sum(topic.count for topic in topics.values()):
            reason = "holds no message"
            if any(Path(f"{file}-journal").exists() for file in bag.files) or bag.folder is None:
                reason += ": the recorder was stopped before it closed the file"
            raise BagError(bag.path, reason)
        yield OpenBag(bag, topics, partial(iterate_messages, reader), reader.deserialize)


def _open_reader(bag: Bag, stack: contextlib.ExitStack) -> Any:
    """Return a `rosbags.highlevel.AnyReader` that the stack closes."""
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.LATEST)
    if bag.folder:
        try:
            return stack.enter_context(AnyReader([bag.folder], default_typestore=store))
        except AnyReaderError as error:
            if _OTHER_FORMAT not in str(error):
                raise
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robotrain-bag-")))
    files = [decompress_file(file, scratch) for file in bag.files]
    return stack.enter_context(AnyReader(files, default_typestore=store))


def format_time(time_ns: int) -> str:
    """Return a time in UTC with milliseconds."""
    moment = datetime.fromtimestamp(time_ns / _NANOSECONDS, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _explain_unreadable(bag: Bag, error: Exception) -> BagError:
    """Return why a bag cannot be opened: for the first of its files that alone cannot, else for `metadata.yaml`."""
    if getattr(error, "errno", None) == errno.ENOSPC:
        no_room = f"there is no room in {tempfile.gettempdir()} to decompress it; TMPDIR names another folder"
        return BagError(bag.path, no_room)
    for file in bag.files:
        if reason := _find_file_fault(file):
            return BagError(file, reason)
    error_text = str(error).removesuffix("; please report issue.") or type(error).__name__
    if bag.folder is None:
        return BagError(bag.path, error_text)
    reason = f"with it, the bag cannot be opened: {error_text}"
    if not (bag.folder / METADATA).stat().st_size:
        reason = "the file is empty"
    elif re.search("YAML|metadata key|Invalid bag metadata", error_text):
        reason = "the file is cut off or damaged"
    if "files are missing" not in error_text:
        reason += f"; remove {METADATA}, and the bag is read without it"
    return BagError(bag.folder / METADATA, reason)


def _find_file_fault(file: Path) -> str:
    """Return why a storage file cannot be opened; empty if it can."""
    from rosbags.rosbag2 import Reader

    try:
        with file.open("rb") as stream:
            start = stream.read(len(_LFS_POINTER))
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    if not start:
        return "the file is empty"
    if start.startswith(_LFS_POINTER):
        return "it is a pointer of Git LFS, not the file itself: `git lfs pull` downloads it"
    try:
        with (
            tempfile.TemporaryDirectory(prefix="robotrain-bag-") as scratch,
            tolerate_other_encodings(),
            Reader(decompress_file(file, Path(scratch))),
        ):
            return ""
    except Exception as error:
        reason = str(error).removesuffix(".") or type(error).__name__
        is_cut = isinstance(error, EOFError) or "end magic" in reason
        return f"{'the file ends too early' if is_cut else 'the file is damaged'}: {reason}"


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
