"""Columns of text: display width, tables, and wrapping to the terminal."""

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
    if text.isascii():
        return len(text)
    return sum(_measure_character(character) for character in text)


def truncate(text: str, columns: int) -> str:
    """Return as much of `text` as fits, ending in `…` when it was cut."""
    if measure_width(text) <= columns:
        return text
    if columns < 1:
        return ""
    characters, free_columns = [], columns - 1
    for character in text:
        free_columns -= _measure_character(character)
        if free_columns < 0:
            break
        characters.append(character)
    return "".join(characters).rstrip() + "…"


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

    def fits(self, room: int) -> bool:
        """Return whether `room` terminal columns are enough for a flexible one."""
        return room >= min(self.min_width, self.width)

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(map(measure_width, (self.title, *self.cells)))


def fit_columns(columns: Sequence[Column], max_width: int | None) -> list[list[str]]:
    """Return rows of padded cells, titles first, at most `max_width` wide where possible; None for no limit."""
    shown_columns = [column for column in columns if any(column.cells) or not column.drop_order]
    if max_width is None:
        return _format_rows([(column, column.width) for column in shown_columns])
    fixed_columns = [column for column in shown_columns if not column.is_flexible]
    while (
        measure_columns(fixed_columns) > max_width
        and (dropped_column := max(fixed_columns, key=lambda column: column.drop_order)).drop_order
    ):
        fixed_columns.remove(dropped_column)
    free_columns = max_width - measure_columns(fixed_columns) - GAP
    fitting_columns = [
        column
        for column in shown_columns
        if column in fixed_columns or (column.is_flexible and column.fits(free_columns))
    ]
    return _format_rows(
        [
            (column, min(column.width, free_columns) if column.is_flexible else column.width)
            for column in fitting_columns
        ]
    )


def measure_columns(columns: Sequence[Column]) -> int:
    """Return the terminal columns that columns of a table take together."""
    return sum(column.width for column in columns) + GAP * max(0, len(columns) - 1)


def wrap_rows(rows: Sequence[Sequence[str]], max_width: int | None) -> Iterator[str]:
    """Yield lines of rows with aligned columns, in at most `max_width` terminal columns where possible.

    The last cell is wrapped. Any other cell stays whole, so that it can be copied: where it is too long, the rest of
    its row begins on the next line.
    """
    *widths, last_width = [max(map(measure_width, column)) for column in zip(*rows, strict=True)]
    free_columns = None if max_width is None else max_width - min(MIN_TEXT_WIDTH, last_width) - GAP * len(widths)
    if free_columns is not None and widths and sum(widths) > free_columns:  # the widest is narrowed
        widest_index = widths.index(max(widths))
        other_width = sum(widths) - widths[widest_index]
        widths[widest_index] = min(widths[widest_index], max(MIN_TEXT_WIDTH // 2, free_columns - other_width))
    indent = sum(widths) + GAP * len(widths)
    for *cells, last_cell in rows:
        parts = wrap_text(last_cell, max_width and max(MIN_TEXT_WIDTH, max_width - indent))
        *upper_lines, last_line = _layout_row((*cells, parts[0]), widths)
        yield from (*upper_lines, last_line, *(" " * indent + part for part in parts[1:]))


def _layout_row(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of one row; a cell after one that is too long begins a new line."""
    line, offset = "", 0
    for cell, width in zip(cells, (*widths, 0), strict=True):
        if cell and measure_width(line) > offset - GAP > 0:
            yield line
            line = ""
        line = pad_text(line, offset) + cell if cell else line
        offset += width + GAP
    yield line


def wrap_text(text: str, max_width: int | None) -> list[str]:
    """Return the lines of a text wrapped to `max_width` terminal columns; None for no limit."""
    if max_width is None or measure_width(text) <= max_width:
        return [text]
    return textwrap.wrap(text, max_width, break_on_hyphens=False, break_long_words=False) or [""]


def _format_rows(columns: Sequence[tuple[Column, int]]) -> list[list[str]]:
    cell_rows = zip(*((column.title, *column.cells) for column, _ in columns), strict=True)
    widths = [width for _, width in columns]
    return [
        [pad_text(truncate(cell, width), width) for cell, width in zip(row_cells, widths, strict=True)]
        for row_cells in cell_rows
    ]


def _measure_character(character: str) -> int:
    if character < "\u0300" or "\u2010" <= character <= "\u2027":  # letters of Europe, dashes, quotes, `…`
        return 1
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
