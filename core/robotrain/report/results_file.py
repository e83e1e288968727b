"""What the file that completes a run's results says, in the shape that reports draw; its workload reads the file."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from robotrain.report.bars import Bar

if TYPE_CHECKING:
    from robotrain.plugins import Plugins

LARGEST = 16_000_000
"""Bytes."""
MOST = 1000
"""Rows of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the results, perhaps with bars below it. remark: stands above it. bars_title: what the bars show."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""
    bars_title: str = ""
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An episode that was acted in. success: None where nobody says. remark: what else its caption says."""

    episode: int
    seed: int | None = None
    success: bool | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The whole file. facts: name and text, for people. values: of metrics, by their names, beside the scores.

    damaged: parts that are not what they have to be, and are left out.
    """

    facts: tuple[tuple[str, str], ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    damaged: tuple[str, ...] = ()


Reader = Callable[[bytes], Results]
"""Reads the file. Raises ValueError for what cannot be read."""


def reader_of(workload: str, plugins: Plugins) -> Reader | None:
    """The reader that a workload declares; None where it is not installed, or declares none."""
    from robotrain.plugins import PluginError

    try:
        declared = plugins.workload(workload).results_reader
        reader: Reader | None = importlib.import_module(declared).read_results if declared else None
    except (PluginError, ImportError, AttributeError):
        return None
    return reader
