"""JSON that every reader takes: what is no number is null. Standard library only."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write(path: Path, value: object) -> None:
    """One value, indented."""
    path.write_text(json.dumps(plain(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_lines(path: Path, values: Iterable[object]) -> None:
    """One value a line; an empty file for none."""
    lines = (json.dumps(plain(value), allow_nan=False) + "\n" for value in values)
    path.write_text("".join(lines), encoding="utf-8")


def plain(value: Any) -> Any:
    """The same, with None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
