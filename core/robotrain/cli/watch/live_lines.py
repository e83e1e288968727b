"""The last lines of a terminal, redrawn in place. Importing this module imports rich."""

import signal
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, ConsoleDimensions, Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from robotrain.cli import output

DrawLines = Callable[[int, int], Sequence[Sequence[str | tuple[str, str]]]]
"""Returns lines of parts, some with a style, for so many columns and rows."""
ERASE_AND_GO_UP = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))


class _VisibleCursorConsole(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor visible: a signal may end or stop the process at any time."""
        return False


class LiveLines(Live):
    """Lines that a thread draws again when they changed, so that Ctrl-C never finds them half drawn."""

    def __init__(self, stream: TextIO, draw: DrawLines, seconds: float, transient: bool = False) -> None:
        self._draw, self._stream = draw, stream
        self._lines, self._columns, self._is_continued = list[Text](), 0, False
        console = _VisibleCursorConsole(
            file=stream,
            force_terminal=True,
            force_interactive=True,
            color_system="auto" if output.has_color(stream) else None,
        )
        super().__init__(
            "",
            console=console,
            refresh_per_second=1 / seconds,
            transient=transient,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        signal.signal(signal.SIGCONT, self._note_continued)

    def _note_continued(self, *how: object) -> None:
        self._is_continued = True

    def get_renderable(self) -> Group:
        """Return the lines that are shown."""
        return Group(*self._lines)

    def refresh(self) -> None:
        """Draw the lines again if they or the terminal's width changed."""
        columns, rows = output.get_terminal_size(self._stream)
        self.console.size = ConsoleDimensions(columns, rows)  # exported COLUMNS and LINES do not follow a resize
        lines = [Text.assemble(*line, no_wrap=True) for line in self._draw(columns - 1, rows - 1)]
        for line in lines:
            line.truncate(columns - 1, overflow="ellipsis")
        if lines == self._lines and columns == self._columns and not self._is_continued:
            return
        if self._is_continued:  # keep what the shell wrote meanwhile
            self.console.file.write("\n" * (len(self._lines) - 1))
            self._is_continued = False
        wrapped = sum(
            max(0, line.cell_len - 1) // columns for line in self._lines
        )  # in a terminal that is narrower now
        with self.console:
            self.console.control(Control(*ERASE_AND_GO_UP * wrapped))
            self._lines, self._columns = lines, columns
            super().refresh()
