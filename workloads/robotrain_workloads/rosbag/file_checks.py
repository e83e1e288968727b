"""What the first bytes of a bag's files and its `metadata.yaml` tell. Standard library only.

The machine that a job is sent from, `bags inspect` and a training refuse the same with the same sentence: rosbags would
refuse it later, and not name the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from robotrain_workloads.bag_storage import COMPRESSED_SUFFIX

METADATA = "metadata.yaml"
MCAP_MAGIC, SQLITE_MAGIC = b"\x89MCAP0\r\n", b"SQLite format 3\0"
STORAGES = {"sqlite3": (".db3", SQLITE_MAGIC), "mcap": (".mcap", MCAP_MAGIC)}
"""The suffix and the first bytes of each kind of storage, by its name in `metadata.yaml`."""
NEEDED_KEYS = (
    *("rosbag2_bagfile_information", "version", "storage_identifier", "relative_file_paths", "duration"),
    *("starting_time", "message_count", "topics_with_message_count"),
)
NEWEST_VERSION = 9
SQLITE_DAMAGED = (
    "the SQLite file is cut off or damaged, and nothing of it can be read; record it again, or leave it out"
)
LFS_POINTER = b"version https://git-lfs"
READ_WITHOUT = f"remove {METADATA}, and the bag is read without it"
MOST_BYTES = 4 << 20
"""Of a `metadata.yaml` that is looked at."""


def find_file_faults(files: Sequence[Path], folder: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield each file of a bag that cannot be read, with why. `folder`: that of `metadata.yaml`, if there is one."""
    if folder:
        yield from _find_metadata_faults(folder / METADATA, files)
    for file in files:
        if fault := _find_storage_fault(file):
            yield file, fault


def list_named_files(metadata: Path) -> list[str]:
    """Return the names of the storage files in a `metadata.yaml`."""
    metadata_text = _read_text(metadata)
    match = re.search(
        r"^[ \t]*relative_file_paths:[ \t]*(?:\[([^\]]*)\]|\n((?:[ \t]*-[ \t]+.*\n?)*))", metadata_text, re.MULTILINE
    )
    words = re.split(r",|^[ \t]*-[ \t]+", match[1] or match[2] or "", flags=re.MULTILINE) if match else []
    return [PurePath(name).name for word in words if (name := word.strip().strip("'\""))]


def has_other_formats(folder: Path) -> bool:
    """Return whether `metadata.yaml` names messages that are not of ROS 2: rosbags would refuse all of its bag."""
    formats = re.findall(r"^[ \t-]*serialization_format:[ \t]*(\S+)", _read_text(folder / METADATA), re.MULTILINE)
    return any(name.strip("'\"") != "cdr" for name in formats)


def _read_text(metadata: Path) -> str:
    with metadata.open("rb") as stream:
        return stream.read(MOST_BYTES).decode(errors="replace").replace("\r\n", "\n")


def _get_value(metadata_text: str, key: str) -> str:
    match = re.search(rf"^[ \t]*{key}:[ \t]*(.*?)[ \t]*$", metadata_text, re.MULTILINE)
    return match[1].strip("'\"") if match else ""


def _find_metadata_faults(metadata: Path, files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    metadata_text = _read_text(metadata)
    if not metadata_text.strip():
        yield metadata, f"the file is empty; {READ_WITHOUT}"
    elif missing_keys := [key for key in NEEDED_KEYS if not re.search(rf"(?:^|[{{,\s]){key}:", metadata_text)]:
        yield metadata, f"the file is cut off or damaged: it has no {missing_keys[0]}; {READ_WITHOUT}"
    else:
        version = _get_value(metadata_text, "version")
        storage = _get_value(metadata_text, "storage_identifier")
        if version.isdecimal() and int(version) > NEWEST_VERSION:
            yield metadata, f"it has version {version}, and versions up to {NEWEST_VERSION} can be read; {READ_WITHOUT}"
        if storage and storage not in STORAGES:
            yield metadata, f"the storage {storage} cannot be read, only {' and '.join(STORAGES)}"
        for file in files:
            suffix = PurePath(file.name.removesuffix(COMPRESSED_SUFFIX)).suffix
            if storage in STORAGES and suffix != STORAGES[storage][0]:
                yield metadata, f"it says that the storage is {storage}, and {file.name} is not; {READ_WITHOUT}"
                return
        is_compressed = _get_value(metadata_text, "compression_mode").lower() not in ("", "none")
        kind = _get_value(metadata_text, "compression_format")
        if is_compressed and kind != "zstd":
            yield metadata, f"the compression {kind or 'without a name'} cannot be read, only zstd"
        for name in list_named_files(metadata):
            if not metadata.with_name(name).exists():
                yield metadata.with_name(name), f"the file is missing: {METADATA} names it"


def _find_storage_fault(file: Path) -> str:
    """Return why a storage file is none; empty if it begins as one, or is compressed."""
    if file.suffix == COMPRESSED_SUFFIX:
        return ""
    with file.open("rb") as stream:
        start = stream.read(max(len(SQLITE_MAGIC), len(LFS_POINTER)))
    if not start:
        return "the file is empty"
    if start.startswith(LFS_POINTER):
        return "it is a pointer of Git LFS, not the file itself: `git lfs pull` downloads it"
    for storage, (suffix, magic) in STORAGES.items():
        if suffix != file.suffix and start.startswith(magic):
            return f"it is a file of {storage}, whose name ends in {suffix}: rename it"
    expected_magic = next((magic for suffix, magic in STORAGES.values() if suffix == file.suffix), b"")
    if start[: len(expected_magic)] == expected_magic[: len(start)]:
        return ""
    return (
        SQLITE_DAMAGED
        if expected_magic == SQLITE_MAGIC
        else "the file does not begin as MCAP: it is damaged, or another kind of file"
    )
