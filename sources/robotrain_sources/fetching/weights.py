"""Whether a file of weights is whole, as its own header says: a download that ended early is shorter than that."""

import json
from pathlib import Path

LENGTH = 8
LONGEST = 100 << 20
"""The bytes of a header, as the format allows them."""


def torn(file: Path) -> str:
    """Why a safetensors file is not whole, as the end of a sentence; empty when it is as long as it says."""
    with file.open("rb") as content:
        header = int.from_bytes(content.read(LENGTH), "little")
        told = content.read(header) if header <= LONGEST else b""
    try:
        tensors = json.loads(told)
        ends = [int(one["data_offsets"][1]) for name, one in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return "has no readable header"
    wanted, found = LENGTH + header + max(ends, default=0), file.stat().st_size
    return "" if found == wanted else f"has {found:,} bytes of {wanted:,}"
