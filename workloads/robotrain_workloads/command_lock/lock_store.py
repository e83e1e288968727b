"""Locks that are stored on this machine, by the content of what they were made from."""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from robotrain.model.locked_program import LockedProgram
from robotrain.store import files
from robotrain_runtime.environments import uv_program

MAX_KEPT = 200
"""Locks that are stored."""


def make_key(content: bytes, facts: Sequence[object]) -> str:
    """Return what identifies a lock: its inputs, and the index that the user's own settings name.

    :param content: a file that it is made from; empty for none.
    :param facts: all else that it is made from, as JSON has it.
    """
    settings = {name: value for name, value in uv_program.make_uv_environ().items() if name.startswith("UV_")}
    folders = [Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "uv"), Path("/etc/uv")]
    paths = [settings.get("UV_CONFIG_FILE", ""), *(str(folder / "uv.toml") for folder in folders)]
    digest = hashlib.sha256(content)
    for path in filter(None, paths):
        with suppress(OSError):
            digest.update(Path(path).read_bytes())
    digest.update(json.dumps([*facts, settings], sort_keys=True).encode())
    return digest.hexdigest()


def _get_lock_folder() -> Path:
    return files.get_cache_folder() / "program-locks"


def read_stored(key: str) -> LockedProgram | None:
    """Return a stored lock; None if there is none."""
    try:
        stored = files.read_checked_json(_get_lock_folder() / f"{key}.json")
        packages = tuple((str(name), str(content)) for name, content in stored.get("files", ()))
        return LockedProgram(**{**stored, "files": packages})
    except (OSError, ValueError, TypeError):
        return None


def store_lock(key: str, locked: LockedProgram) -> None:
    """Store a lock without its notes, if the cache can be written."""
    folder = _get_lock_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        files.write_checked_json(folder / f"{key}.json", {**asdict(locked), "notes": ()})
        for old in sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime)[:-MAX_KEPT]:
            old.unlink()
