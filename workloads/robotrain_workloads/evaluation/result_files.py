"""Files of results: JSON without numbers that are not finite, in folders that are complete whenever they exist.

An interrupted attempt leaves only hidden files; the next one starts again.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.files import make_atomically


@contextmanager
def fill_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder that replaces `folder` when the block ends, and is removed when it fails."""
    with make_atomically(folder, replace=True, key="fill") as scratch:
        scratch.mkdir()
        yield scratch


def write_json(path: Path, value: object) -> None:
    """Write one value, indented."""
    path.write_text(json.dumps(replace_non_finite(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_lines(path: Path, values: Iterable[object]) -> None:
    """Write values, one a line."""
    lines = [json.dumps(replace_non_finite(value), allow_nan=False) + "\n" for value in values]
    path.write_text("".join(lines), encoding="utf-8")


def replace_non_finite(value: Any) -> Any:
    """Replace numbers that are not finite by None."""
    if isinstance(value, Mapping):
        return {str(name): replace_non_finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
