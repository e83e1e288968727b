"""Which start of the machine a folder was written in: a power cut may lose what a process had written before."""

import os
from pathlib import Path

NOTE = "boot"
ANY = "any"
"""Noted of a folder whose every byte was read back after a start."""
ID = Path("/proc/sys/kernel/random/boot_id")


def now() -> str:
    """What tells this start from others; a new one each time where the system does not say."""
    return ID.read_text().strip() if ID.exists() else os.urandom(8).hex()


def note(folder: Path) -> None:
    """That what is written there is written in this start."""
    (folder / NOTE).write_text(now() + "\n", encoding="utf-8")


def settle(folder: Path) -> None:
    """That it can be believed whatever happens to the machine. Raises OSError."""
    scratch = folder / f".{NOTE}.{os.urandom(4).hex()}"
    scratch.write_text(ANY + "\n", encoding="utf-8")
    os.replace(scratch, folder / NOTE)


def is_noted(folder: Path) -> bool:
    """Whether it was written in this start, or can be believed all the same."""
    try:
        said = (folder / NOTE).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return said in (now(), ANY)
