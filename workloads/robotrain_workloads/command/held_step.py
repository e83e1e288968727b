"""The step that a checkpoint of PyTorch holds, read without PyTorch; nothing in it is executed."""

import pickletools
import zipfile
from pathlib import Path

STEP_KEYS = frozenset({"global_step", "step", "iteration"})
MAX_BYTES = 64 << 20
"""Of the part that has everything but the weights."""


def read_held_step(path: Path) -> int | None:
    """Return the first number in a file of `torch.save` that is called a step; None if nothing is known."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = next(entry for entry in archive.infolist() if entry.filename.endswith("data.pkl"))
            pickle_bytes = archive.read(content) if content.file_size <= MAX_BYTES else b""
        key = ""
        for opcode, argument, _ in pickletools.genops(pickle_bytes):
            if opcode.name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):  # the memory of the key before
                continue
            if key in STEP_KEYS and isinstance(argument, int) and "INT" in opcode.name:
                return argument
            key = argument if isinstance(argument, str) else ""
    except (OSError, ValueError, StopIteration, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return None
    return None
