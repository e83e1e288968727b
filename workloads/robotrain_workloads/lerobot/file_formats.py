"""JSON objects, MP4, Parquet and safetensors files: reading, and checks for completeness. Standard library only."""

import json
import struct
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

MP4_INDEX = b"moov"
"""The part without which no frame can be shown."""
MP4_HEAD = 8
MP4_MOST_PARTS = 10_000
"""The most parts that are read, to stay fast."""
LONGEST_HEADER = 100_000_000
LONGEST_JSON = 20_000_000
PARQUET_MARK = b"PAR1"
PARQUET_FOOTER = b"\x15"
"""The first byte of a footer: its first field, the version, in Thrift's compact encoding."""
GIT_LFS_MARK = b"version https://git-lfs"
"""The beginning of a file that Git has in place of a large one."""
LFS_POINTER = "is a Git LFS pointer, not the data: `git lfs pull` in its folder gets it"
TENSOR_FORMATS = {"F32": "f", "F64": "d", "I64": "q", "I32": "i"}


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raise OSError or ValueError with a sentence."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.stat().st_size > LONGEST_JSON:
        raise ValueError(f"{path} is too large to be read: more than {LONGEST_JSON:,} bytes")
    return parse_json_object(path.read_bytes(), str(path))


def parse_json_object(text: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object that a file of the name holds. Raise ValueError with a sentence."""
    try:
        json_value = json.loads(text.decode())
    except ValueError as error:
        raise ValueError(f"{name} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None
    if not isinstance(json_value, dict):
        raise ValueError(f"{name} must hold a JSON object, not a {type(json_value).__name__}")
    return json_value


def explain_damage(path: Path) -> str:
    """Return why a Parquet or MP4 file cannot be read, as the rest of a sentence; empty if its form is right."""
    if not path.is_file():  # opening a FIFO would wait forever
        return "is no file" if path.exists() else "does not exist"
    with path.open("rb") as file:
        return explain_form(file, path.stat().st_size, path.suffix)


def explain_form(file: BinaryIO, size: int, suffix: str) -> str:
    """Return the same for the content of a file with an ending."""
    first_bytes = file.read(len(GIT_LFS_MARK))
    if not first_bytes:
        return "is empty"
    if first_bytes == GIT_LFS_MARK:
        return LFS_POINTER
    is_complete, name = (_is_complete_mp4, "MP4") if suffix == ".mp4" else (_is_complete_parquet, "Parquet")
    if is_complete(file, size):
        return ""
    return f"is not a complete {name} file: it is still being written, or its transfer was interrupted"


def _is_complete_mp4(file: BinaryIO, file_size: int) -> bool:
    """Return whether no part ends behind the file, and the index is among the parts."""
    offset, part_names = 0, set[bytes]()
    for _ in range(MP4_MOST_PARTS):
        if offset + MP4_HEAD > file_size:
            break
        file.seek(offset)
        size = int.from_bytes(file.read(4), "big")
        part_name = file.read(4)
        if size == 1:  # the length follows in 8 bytes
            size = int.from_bytes(file.read(8), "big")
        elif size == 0:  # the part reaches to the end
            size = file_size - offset
        part_names.add(part_name)
        offset += max(MP4_HEAD, size)
    return offset <= file_size and MP4_INDEX in part_names


def _is_complete_parquet(file: BinaryIO, size: int) -> bool:
    """Return whether it begins and ends as the format requires, with a footer of the length that it states."""
    file.seek(0)
    start_mark = file.read(4)
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little")
    end_mark = file.read(4)
    file.seek(max(0, size - 8 - length))
    return start_mark == end_mark == PARQUET_MARK and length <= size - 12 and file.read(1) == PARQUET_FOOTER


def read_safetensors_header(path: Path) -> Mapping[str, Any]:
    """Return the tensors that a safetensors file declares. Raise OSError or ValueError when the file is shorter."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} has no weights: {path.name} is missing")
    incomplete = ValueError(f"{path} is not a complete safetensors file: the transfer may have been interrupted")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            tensors = json.loads(file.read(min(length, LONGEST_HEADER)))
            tensors.pop("__metadata__", None)
            ends = [int(tensor["data_offsets"][1]) for tensor in tensors.values()]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise incomplete from None
    if path.stat().st_size != 8 + length + max(ends, default=0):
        raise incomplete
    return typing.cast(Mapping[str, Any], tensors)


def read_safetensors(path: Path) -> dict[str, tuple[float, ...]]:
    """Return the numbers in a small safetensors file, by name. Raise OSError or ValueError."""
    file_bytes = path.read_bytes()
    length = int.from_bytes(file_bytes[:8], "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"{path} is not a safetensors file")
    try:
        numbers_by_name: dict[str, tuple[float, ...]] = {}
        for name, tensor in json.loads(file_bytes[8 : 8 + length]).items():
            if name != "__metadata__" and (letter := TENSOR_FORMATS.get(tensor["dtype"])):
                start, end = tensor["data_offsets"]
                struct_format = f"<{(end - start) // struct.calcsize(letter)}{letter}"
                numbers_by_name[name] = struct.unpack(struct_format, file_bytes[8 + length :][start:end])
        return numbers_by_name
    except (KeyError, TypeError, AttributeError, struct.error):
        raise ValueError(f"{path} is not a complete safetensors file") from None
