"""Rows of figures: what a benchmark measured, what that is compared with, and its ceiling.

A benchmark is a script with a generator of rows, `measure(options)`, and this as its last lines:

    def main() -> int:
        return rows.run(measure, __doc__, make_parser)

It prints a row as soon as it is measured, and exits 1 when one is above its ceiling. `--quick` asks for less of
everything, `--json` for one JSON object a line. Its narration goes to stderr, with `rows.log`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROBOTRAIN = str(Path(sys.executable).with_name("robotrain"))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. Less is better."""

    name: str
    ours: float
    unit: str
    """Of `ours`, `floor` and `peers`."""
    floor: float | None = None
    floor_name: str = ""
    ceiling: float | None = None
    """The most that the ratio may be, or `ours` where there is no floor; None for a row that only informs."""
    peers: Mapping[str, float] = field(default_factory=dict)
    """What other tools take for the same, by name; empty where none is installed."""

    @property
    def ratio(self) -> float | None:
        """`ours` divided by `floor`; None without a floor."""
        return self.ours / self.floor if self.floor else None

    @property
    def is_above(self) -> bool:
        """Whether the ceiling is exceeded."""
        value = self.ours if self.ratio is None else self.ratio
        return self.ceiling is not None and value > self.ceiling

    @property
    def verdict(self) -> str:
        """In a word: `within`, `above`, or nothing without a ceiling."""
        return "" if self.ceiling is None else "above" if self.is_above else "within"

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of a table."""
        floor = f"{self.floor:,.4g} {self.unit} {self.floor_name}".strip() if self.floor else ""
        peers = ", ".join(f"{name} {value:,.4g} {self.unit}" for name, value in self.peers.items())
        ratio = f"{self.ratio:.3g} ×" if self.ratio is not None else ""
        ceiling = "" if self.ceiling is None else f"{self.ceiling:g} {'×' if self.floor else self.unit}"
        return self.name, f"{self.ours:,.4g} {self.unit}", floor, peers, ratio, ceiling, self.verdict


COLUMNS = ("what", "ours", "floor", "peer", "ratio", "ceiling", "")
LINE = "{:<44} {:>10}   {:<42} {:<24} {:>8} {:>9}  {}"


def run(
    measure: Callable[[argparse.Namespace], Iterator[Row]],
    description: str | None,
    add_options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> int:
    """Print every row that `measure` yields for the options of the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything: to try it")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_options(parser)
    options = parser.parse_args()
    is_above = False
    if not options.json:
        print(LINE.format(*COLUMNS))
    for row in measure(options):
        print(json.dumps(asdict(row)) if options.json else LINE.format(*row.cells), flush=True)
        is_above |= row.is_above
    return 1 if is_above else 0


def parse(line: str) -> Row:
    """Return the row of a line that `--json` printed. Raise ValueError."""
    content: dict[str, Any] = json.loads(line)
    try:
        return Row(**content)
    except TypeError as error:
        raise ValueError(f"not a row: {error}") from error


def log(text: str) -> None:
    """Print what goes on to stderr."""
    print(text, file=sys.stderr, flush=True)
