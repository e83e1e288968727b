"""Texts of a dataset's tasks, read in an environment with LeRobot."""

import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

TASKS_FILE = Path("meta/tasks.parquet")


def read_dataset_texts(root: Path) -> list[str]:
    """Return the texts of a dataset's tasks; none if they cannot be read."""
    with suppress(Exception):  # LeRobot reads the same file, and explains why it cannot
        pandas: Any = importlib.import_module("pandas")
        return [str(task_text) for task_text in pandas.read_parquet(root / TASKS_FILE).index]
    return []
