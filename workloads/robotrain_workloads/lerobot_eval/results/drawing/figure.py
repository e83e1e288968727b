"""A figure of plain panels, and where it is saved. Drawn without pyplot: no screen, and nothing global."""

import importlib
from pathlib import Path
from typing import Any

RECORDED, PREDICTED = "#1f77b4", "#d95f02"
DPI = 80
LEFT, RIGHT, ABOVE, BELOW = 1.1, 0.2, 0.6, 0.6
"""Margins, in inches."""
MOST_NUMBERS = 32
"""Numbers of an action that are drawn: a humanoid has more than anyone looks at."""


def panels(rows: int, columns: int, width: float, height: float, title: str, **named: Any) -> tuple[Any, Any]:
    """The figure, and its panels as a list of rows. width, height: of all of it, in inches.

    Margins are fixed: to measure every text first takes as long as to draw.
    """
    made: Any = importlib.import_module("matplotlib.figure").Figure(figsize=(width, height))
    made.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    made.subplots_adjust(LEFT / width, BELOW / height, 1 - RIGHT / width, 1 - ABOVE / height, wspace=0.15, hspace=0.15)
    return made, made.subplots(rows, columns, squeeze=False, **named)


def save(made: Any, path: Path) -> None:
    """As PNG."""
    made.savefig(path, dpi=DPI)


def few(values: Any, most: int = 40) -> list[int]:
    """Places for marks on an axis, so that their texts do not overlap."""
    every = -(-len(values) // most)
    return list(range(0, len(values), every))
