"""JSON objects, MP4, Parquet and safetensors files: reading and completeness. Standard library only.

Standard library only.
"""

import json
import struct
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises OSError or ValueError with a sentence."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deep to be read") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, and holds a {type(found).__name__}")
    return found


MP4_INDEX = b"moov"
"""The part without which nothing of a film can be shown."""
MP4_HEAD = 8
MP4_MOST_PARTS = 10_000
"""Parts that are looked at: this must stay quick."""


def is_complete_mp4(path: Path) -> bool:
    """Whether no part ends behind the file, and the index is among them."""
    end, at, names = path.stat().st_size, 0, set[bytes]()
    with path.open("rb") as file:
        for _ in range(MP4_MOST_PARTS):
            if at + MP4_HEAD > end:
                break
            file.seek(at)
            size, name = _read_mp4_part(file, end - at)
            names.add(name)
            at += max(MP4_HEAD, size)
    return at <= end and MP4_INDEX in names


def _read_mp4_part(file: IO[bytes], remaining: int) -> tuple[int, bytes]:
    """Its length and its name. A length of 1 says that the true one follows, one of 0 that it goes on to the end."""
    size, name = int.from_bytes(file.read(4), "big"), file.read(4)
    if size == 1:
        return int.from_bytes(file.read(8), "big"), name
    return size or remaining, name


def is_complete_parquet(path: Path) -> bool:
    """Whether the file begins and ends as its format does."""
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        return begins == file.read(4) == b"PAR1"


LONGEST_HEADER = 100_000_000


def read_safetensors_header(path: Path) -> Mapping[str, Any]:
    """What a safetensors file says it holds. Raises OSError or ValueError when it holds less."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} holds no weights: it has no {path.name}")
    short = ValueError(f"{path} is not a whole safetensors file: it may have been cut short on its way here")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            tensors = json.loads(file.read(min(length, LONGEST_HEADER)))
            tensors.pop("__metadata__", None)
            ends = [int(tensor["data_offsets"][1]) for tensor in tensors.values()]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise short from None
    if path.stat().st_size != 8 + length + max(ends, default=0):
        raise short
    return typing.cast(Mapping[str, Any], tensors)


TENSOR_FORMATS = {"F32": "f", "F64": "d", "I64": "q", "I32": "i"}


def read_safetensors(path: Path) -> dict[str, tuple[float, ...]]:
    """The numbers in a small safetensors file, by name. Raises OSError or ValueError."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"{path} is no safetensors file")
    try:
        return {
            name: _unpack_numbers(content[8 + length :], tensor)
            for name, tensor in json.loads(content[8 : 8 + length]).items()
            if name != "__metadata__" and tensor["dtype"] in TENSOR_FORMATS
        }
    except (KeyError, TypeError, AttributeError, struct.error):
        raise ValueError(f"{path} is no whole safetensors file") from None


def _unpack_numbers(content: bytes, tensor: Mapping[str, Any]) -> tuple[float, ...]:
    begin, end = tensor["data_offsets"]
    letter = TENSOR_FORMATS[tensor["dtype"]]
    return struct.unpack(f"<{(end - begin) // struct.calcsize(letter)}{letter}", content[begin:end])
