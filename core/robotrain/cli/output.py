"""Output of commands: results on stdout, messages and problems on stderr, colors where a terminal has them."""

import contextlib
import itertools
import json
import os
import re
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from robotrain.errors import Problem, Rejected, Suggestion, format_problem
from robotrain.redaction import MAX_SENTENCE, escape_controls, redact, redact_if_secret

SEVERITY_STYLES = {"error": "red", "warning": "yellow"}


_results: list[TextIO] = []
"""Standard output while a command runs; what anything else prints meanwhile goes to stderr."""


@contextlib.contextmanager
def reserve_results() -> Iterator[None]:
    """Send what is printed in this block in any other way, as by a plugin, to stderr: stdout holds results."""
    _results.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _results.pop()


def get_results() -> TextIO:
    """Return the stream of results; None in a process without streams."""
    return _results[-1] if _results else sys.stdout


def print_result(text: str) -> None:
    """Print a result on stdout."""
    print_result_line(text)


def print_text(text: str) -> None:
    """Print a result for people on stdout."""
    results = get_results()
    _write_line(results, _escape_controls(text, results))


def print_message(text: str) -> None:
    """Print a message for people on stderr, without secrets that stand in what was typed or found."""
    text = "\n".join(map(redact_if_secret, text.split("\n")))
    _write_line(sys.stderr, _escape_controls(text, sys.stderr))


def print_platform(name: str, origin: str) -> None:
    """Print the first message of a submit: the platform, and where it was chosen."""
    print_message(f"platform {name} ({origin})")


VIEWS = {
    "submit": "`robotrain submit --dry-run` shows what will happen",
    "render": "`robotrain render` shows this job's spec",
    "explain": "`robotrain explain` shows where each value comes from",
}


def print_other_views(view: str) -> None:
    """Print which commands show the same job in another way. `view`: the command that has shown it."""
    print_message("; ".join(text for name, text in VIEWS.items() if name != view))


SLOW_SECONDS = 5.0


@contextlib.contextmanager
def say_if_slow(text: str) -> Iterator[None]:
    """Print a message on a terminal if the block takes more than `SLOW_SECONDS`: somebody else is waited for."""
    timer = threading.Timer(SLOW_SECONDS, print_message, (text,))
    timer.daemon = True
    if is_terminal(sys.stderr):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _escape_controls(text: str, stream: TextIO | None) -> str:
    """Return a text with its control characters escaped, except ends of lines, tabs and the colors of `paint_text`."""
    if text.replace("\n", "").isprintable():
        return text
    colors = rf"\x1b\[(?:{'|'.join(['0', *ANSI_STYLES.values()])})m|" if has_color(stream) else ""
    parts = re.split(rf"({colors}[\n\t])", text)
    return "".join(part if index % 2 else escape_controls(part) for index, part in enumerate(parts))


def print_result_line(text: str) -> bool:
    """Print a line of a result on stdout; return False when the reader has gone."""
    results = get_results()
    return _write_line(results, _escape_controls(text, results))


def print_message_line(text: str) -> bool:
    """Print a line of a message on stderr; return False when the reader has gone."""
    return _write_line(sys.stderr, _escape_controls(text, sys.stderr))


def _write_line(stream: TextIO | None, text: str) -> bool:
    """Write a line; when the reader closed the pipe, discard all further output, so that the exit code still counts."""
    if stream is None:
        return False
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def print_json(value: Any) -> None:
    """Print a result as JSON; numbers that JSON lacks are the texts "nan", "inf" and "-inf", as in events."""
    from robotrain_runtime.contract.event import make_json_safe

    print_result(json.dumps(make_json_safe(value), indent=2, default=str, allow_nan=False))


MAX_PRINTED, MAX_DUMPED = 100, 500
"""The largest number of problems that are printed, and of those in JSON: a damaged file can have thousands."""


def print_problems(problems: Iterable[Problem]) -> None:
    """Print problems, errors last, so that they are nearest to the prompt."""
    width = min(100, get_terminal_width(sys.stderr) or 100)
    ordered_problems = sorted(problems, key=lambda problem: problem.severity != "error")
    if len(ordered_problems) > MAX_PRINTED:
        print_message(f"{len(ordered_problems)} problems; the first {MAX_PRINTED} are:")
    for problem in sorted(ordered_problems[:MAX_PRINTED], key=lambda problem: problem.severity == "error"):
        text = format_problem(problem, width)
        if has_color(sys.stderr):
            style = SEVERITY_STYLES.get(problem.severity, "")
            text = paint_text(problem.severity, style, True) + text.removeprefix(problem.severity)
        print_message(text)


def dump_problems(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as data, at most `MAX_DUMPED`; the keys are an API."""
    return [
        {
            "code": problem.code,
            "severity": problem.severity,
            "stage": problem.stage.name.lower(),
            "title": redact(problem.title, max_length=MAX_SENTENCE),
            "where": redact(problem.where),
            "given": redact_if_secret(problem.given),
            "why": redact_if_secret(problem.why),
            "instead": dump_suggestions(problem.suggestions),
        }
        for problem in itertools.islice(problems, MAX_DUMPED)
    ]


def dump_suggestions(suggestions: Iterable[Suggestion]) -> list[dict[str, str]]:
    """Return suggestions as data; the keys are an API."""
    return [{name: redact_if_secret(field_text) for name, field_text in way._asdict().items()} for way in suggestions]


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows with aligned columns; the last one is wrapped to the terminal. No cell begins a row of its own."""
    from robotrain.cli.table import wrap_rows

    rows = [[*map(escape_controls, row)] for row in rows]
    return "\n".join(wrap_rows(rows, get_table_width()))


DEFAULT_COLUMNS, DEFAULT_ROWS = 80, 24
ANSI_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
STATE_STYLES = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "lost": "red",
    "gone": "red",
    "broken": "red",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "unknown": "yellow",
}
"""The style of each state that has one."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is an open terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def is_live(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal that can redraw lines in place."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def has_color(stream: TextIO | None) -> bool:
    """Whether to write colors: never with NO_COLOR set to any value."""
    return is_live(stream) and not os.environ.get("NO_COLOR")


def get_terminal_size(stream: TextIO) -> tuple[int, int]:
    """Return the current columns and rows."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return columns or DEFAULT_COLUMNS, rows or DEFAULT_ROWS  # some terminals report 0


def get_terminal_width(stream: TextIO | None) -> int | None:
    """Return the columns of a terminal; None for anything else, such as a pipe."""
    return get_terminal_size(stream)[0] if stream is not None and is_terminal(stream) else None


def get_table_width() -> int | None:
    """Return the columns of tables: those of the terminal, also where a pipe carries the results to it.

    None without a terminal, as in a script, and in a file: there each row is one line.
    """
    results = get_results()
    if (width := get_terminal_width(results)) is not None or not _is_pipe(results):
        return width
    columns = os.environ.get("COLUMNS", "")
    return get_terminal_width(sys.stderr) or (int(columns) if columns.isdecimal() else 0) or None


def _is_pipe(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def paint_text(text: str, style: str, color: bool) -> str:
    """Return `text` with the escape codes of a style, if there is color."""
    return f"\x1b[{ANSI_STYLES[style]}m{text}\x1b[0m" if color and style and text else text


def describe_exception(error: BaseException) -> str:
    """Return an exception's message, redacted, on one line."""
    if isinstance(error, Rejected):
        return redact(str(error), max_length=500)
    return redact(f"{type(error).__name__}: {error}".rstrip(": "), max_length=500)
