"""The corpora: lines of robotrain with what LeRobot said to them, in text files for people to read.

A file has a line for each: `CLASS: LINE`, of what follows `robotrain submit`, typed in the folder of `world.py`;
without --platform it is for the local one. What comes after two spaces and `#` says why a line is broken, in LeRobot's
words where it has some. A file of good lines has as classes the workloads.
"""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SEPARATOR = "  # "


class Line(NamedTuple):
    """A line of a corpus."""

    kind: str
    """Its class."""
    words: tuple[str, ...]
    """What follows `robotrain submit`."""
    why: str = ""
    """Why it is broken; empty for a good one."""

    @property
    def text(self) -> str:
        """The line as it is typed."""
        return shlex.join(self.words)

    @property
    def place(self) -> tuple[str, ...]:
        """The platform, if the line names none."""
        return () if "--platform" in self.words else ("--platform", "local")

    def split(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what stands before `--`, and after it."""
        if "--" not in self.words:
            return self.words, ()
        at = self.words.index("--")
        return self.words[:at], self.words[at + 1 :]


def make_line(kind: str, words: Sequence[str], options: Sequence[str] = (), reason: str = "") -> Line:
    """Return a line with options after `--`."""
    return Line(kind, (*words, *(("--", *options) if options else ())), reason)


def read_lines(name: str) -> list[Line]:
    """Return the lines of a file of this folder. Raise ValueError."""
    lines = []
    for text in (HERE / name).read_text().splitlines():
        if text and not text.startswith("#"):
            kind, _, rest = text.partition(": ")
            line, _, reason = rest.partition(SEPARATOR)
            lines.append(Line(kind, tuple(shlex.split(line)), reason))
    return lines


def write_lines(name: str, introduction: str, lines: Iterable[Line]) -> None:
    """Write a file of this folder."""
    texts = [f"{line.kind}: {line.text}" + (f"{SEPARATOR}{line.why}" if line.why else "") for line in lines]
    (HERE / name).write_text("\n".join([*(f"# {line}" for line in introduction.splitlines()), "", *texts, ""]))
