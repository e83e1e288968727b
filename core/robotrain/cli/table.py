"""Columns of text: display width, and tables that fit the terminal."""

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

GAP = 2
"""How many spaces separate two columns."""
MIN_TEXT_WIDTH = 16
"""The fewest terminal columns in which a sentence is readable."""


def measure_width(text: str) -> int:
    """Return the terminal columns that a text takes: wide characters two, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def truncate(text: str, columns: int) -> str:
    """Return as much of `text` as fits, ending in `…` when it was cut."""
    if measure_width(text) <= columns:
        return text
    while text and measure_width(text) > columns - 1:
        text = text[:-1]
    return f"{text.rstrip()}…" if columns > 0 else ""


def pad_text(text: str, columns: int) -> str:
    """Return `text` filled with spaces up to `columns`."""
    return text + " " * (columns - measure_width(text))


def to_plain_line(text: str) -> str:
    """Return `text` on one line, without control characters."""
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "" for character in text
    ).strip()


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    cells: Sequence[str]
    drop_order: int = 0
    """Where room is short, columns with a higher number are left out first; 0 for never."""
    is_flexible: bool = False
    """Whether it takes the room that the others leave, if that is readable, and is cut to it."""
    min_width: int = MIN_TEXT_WIDTH
    """The fewest terminal columns in which a flexible one is readable, unless it needs less."""

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(map(measure_width, (self.title, *self.cells)))


def measure_columns(columns: Sequence[Column]) -> int:
    """Return the terminal columns that columns of a table take together."""
    return sum(column.width for column in columns) + GAP * max(0, len(columns) - 1)


def fit_columns(columns: Sequence[Column], max_width: int | None) -> list[list[str]]:
    """Return rows of padded cells, titles first, at most `max_width` wide where possible; None for no limit."""
    shown = [column for column in columns if any(column.cells) or not column.drop_order]
    fixed = [column for column in shown if not column.is_flexible]
    droppable = sorted((column for column in fixed if column.drop_order), key=lambda column: column.drop_order)
    while max_width is not None and droppable and measure_columns(fixed) > max_width:
        fixed.remove(droppable.pop())
    free = None if max_width is None else max_width - measure_columns(fixed) - GAP
    cells = list[list[str]]()
    for column in shown:
        width = column.width
        if column.is_flexible and free is not None:
            if free < min(column.min_width, width):
                continue
            width = min(width, free)
        elif column not in fixed and not column.is_flexible:
            continue
        cells.append([pad_text(truncate(cell, width), width) for cell in (column.title, *column.cells)])
    return [list(row) for row in zip(*cells, strict=True)]


def wrap_rows(rows: Sequence[Sequence[str]], max_width: int | None) -> Iterator[str]:
    """Yield lines of rows with aligned columns, of which the last is wrapped to `max_width`; None for no limit."""
    *widths, _ = [max(map(measure_width, column)) for column in zip(*rows, strict=True)]
    indent = sum(widths) + GAP * len(widths)
    for *cells, last_cell in rows:
        first_line, *other_lines = wrap_text(last_cell, max_width and max(MIN_TEXT_WIDTH, max_width - indent))
        start = "".join(pad_text(cell, width + GAP) for cell, width in zip(cells, widths, strict=True))
        yield (start + first_line).rstrip()
        yield from (" " * indent + line for line in other_lines)


def wrap_text(text: str, max_width: int | None) -> list[str]:
    """Return the lines of a text wrapped to `max_width` terminal columns; None for no limit."""
    if max_width is None or measure_width(text) <= max_width:
        return [text]
    return textwrap.wrap(text, max_width, break_on_hyphens=False, break_long_words=False) or [""]
