"""MLflow without the plugins that are installed beside it: a database on this disk needs none, and one for a cloud
takes as long to import as MLflow itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

GROUPS = "mlflow."


@contextmanager
def none() -> Iterator[None]:
    """What is imported meanwhile finds no plugins of MLflow; all others as ever."""
    find = metadata.entry_points

    def others(**asked: Any) -> Any:
        return metadata.EntryPoints() if str(asked.get("group", "")).startswith(GROUPS) else find(**asked)

    metadata.entry_points = others
    try:
        yield
    finally:
        metadata.entry_points = find
