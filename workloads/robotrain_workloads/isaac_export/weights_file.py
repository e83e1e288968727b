"""What a checkpoint's file shows without PyTorch: whether it holds weights alone, and whose they are.

It is only scanned, never loaded; PyTorch itself judges where the job runs.
"""

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

KNOWN_MODULES = re.compile(r"torch(?:\..*)?|collections|_codecs|builtins|numpy(?:\..*)?")
"""What PyTorch may take for weights; it is stricter."""
RSL_RL_KEYS = {"model_state_dict", "actor_state_dict"}
SKRL_KEYS = {"policy", "optimizer", "value"}
STRINGS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")


def find_foreign_class(file: Path) -> str:
    """Return a class that the file names and weights have not, such as `pathlib.Path`; empty for none."""
    texts: list[str] = []
    for name, argument in _scan(file):
        if name in STRINGS:
            texts.append(str(argument))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            module, _, own = str(argument).partition(" ") if name == "GLOBAL" else (*texts[-2:-1], "", *texts[-1:])
            if not KNOWN_MODULES.fullmatch(module):
                return f"{module}.{own}"
    return ""


def guess_backend(file: Path) -> str:
    """Return the library of a checkpoint; empty if unknown."""
    texts = {str(argument) for name, argument in _scan(file) if name in STRINGS}
    return "rsl_rl" if texts & RSL_RL_KEYS else "skrl" if texts >= SKRL_KEYS else ""


def _scan(file: Path) -> Iterator[tuple[str, object]]:
    """Yield the operations of a file of PyTorch, by name with their argument. Raise OSError with a sentence."""
    try:
        with zipfile.ZipFile(file) as archive:
            inside = next((name for name in archive.namelist() if name.endswith("/data.pkl")), "")
            content = archive.read(inside) if inside else b""
    except zipfile.BadZipFile:
        content = file.read_bytes()
        if not content.startswith(b"\x80"):  # the first byte of a pickle
            content = b""
    if not content:
        raise OSError(f"{file} is not a file of PyTorch")
    try:
        yield from ((operation.name, argument) for operation, argument, _ in pickletools.genops(content))
    except (ValueError, IndexError):
        if content[:1] != b"\x80" or zipfile.is_zipfile(file):
            raise OSError(f"{file} is not a file of PyTorch: it is damaged") from None
