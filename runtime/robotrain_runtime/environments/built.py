"""An environment as it lies on the disk: its interpreter, and the marker that is written last."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.environments import interpreter

MARKER = "robotrain-complete.json"
PATIENCE = 60.0
"""Seconds: from a cold disk a Python takes its time, and one that is there must not be built again for that."""


def python_of(environment: Path) -> Path:
    """The interpreter of an environment, given as its folder or as the interpreter itself."""
    return environment if environment.is_file() else environment / "bin" / "python"


def complete(built: Path) -> bool:
    """Whether the environment was built to its end, and runs here: an image may lack the Python it was built with."""
    if not (built / MARKER).is_file():
        return False
    runs, kept = interpreter.version(python_of(built), PATIENCE), _facts(built).get("version")
    return bool(runs) and kept in (None, runs)


def remark(built: Path) -> str:
    """What in it is not pinned by hash, as a sentence without a full stop; empty when everything is."""
    return str(_facts(built).get("remark", ""))


def mark(built: Path, facts: Mapping[str, object]) -> None:
    """Say that it is complete, and what is worth keeping of how it was built. Raises OSError."""
    kept = {**facts, "version": interpreter.version(python_of(built))}
    (built / MARKER).write_text(json.dumps(kept) + "\n", encoding="utf-8")


def _facts(built: Path) -> Mapping[str, Any]:
    try:
        facts = json.loads((built / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
