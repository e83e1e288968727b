"""What people and programs read: results on stdout, narration on stderr, problems in one form."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

import typer

from robotrain.problem import INTERRUPTED, SENTENCE, Problem, Rejected, Stage, errors, render

SEVERITIES = {"error": "red", "warning": "yellow"}


def show(text: str) -> None:
    """A result."""
    _write(sys.stdout, text)


def say(text: str) -> None:
    """Narration: what goes on, for people."""
    _write(sys.stderr, text)


def show_line(text: str) -> bool:
    """A line of a result that goes on; False when nobody reads any more."""
    return _write(sys.stdout, text)


def say_line(text: str) -> bool:
    """The same of narration."""
    return _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> bool:
    """A line to a stream that somebody may have closed: the command goes on, and its exit code is told all the same."""
    if stream is None:
        return False
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def show_json(value: Any) -> None:
    """A result for programs; numbers that JSON has no word for are the texts "nan", "inf" and "-inf", as in events."""
    import json

    from robotrain_runtime.event import strict

    show(json.dumps(strict(value), indent=2, default=str, allow_nan=False))


def report(problems: Iterable[Problem]) -> None:
    """Every problem, errors last, so that they stand nearest to the prompt."""
    found = sorted(problems, key=lambda problem: problem.severity == "error")
    if not found:
        return
    from robotrain.cli import terminal

    width = min(100, terminal.columns(sys.stderr) or 100)
    for problem in found:
        text = render(problem, width)
        if terminal.has_colour(sys.stderr):
            style = SEVERITIES.get(problem.severity, "")
            text = terminal.paint(problem.severity, style, True) + text.removeprefix(problem.severity)
        say(text)


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems as data; the keys are an API."""
    from robotrain.redaction import redact, told

    return [
        {
            "code": problem.code,
            "severity": problem.severity,
            "stage": problem.stage.name.lower(),
            "title": redact(problem.title, longest=SENTENCE),
            "where": redact(problem.where),
            "given": told(problem.given),
            "why": told(problem.why),
            "instead": [{"text": told(way.text), "remark": told(way.remark)} for way in problem.instead],
        }
        for problem in problems
    ]


def table(rows: Sequence[Sequence[str]], gap: str = "  ") -> str:
    """Rows with aligned columns. On a terminal a last column that is too long goes on below itself."""
    from robotrain.cli import terminal
    from robotrain.cli.columns import wrapped

    return "\n".join(wrapped(rows, gap, terminal.columns(sys.stdout)))


@contextlib.contextmanager
def guarded(as_json: bool = False) -> Iterator[None]:
    """Turn what a command raises into its report and exit code; as_json: on stdout as data too."""
    try:
        yield
    except Rejected as rejected:
        report(rejected.problems)
        count = len(errors(rejected.problems))
        if count > 1:
            say(f"{count} problems; nothing was done")
        if as_json:
            show_json({"problems": problems_json(rejected.problems)})
        raise typer.Exit(rejected.exit_code) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        problem = Problem(code="io-failed", stage=Stage.SUBMIT, title=f"{error.strerror or error}{where}")
        report([problem])
        if as_json:
            with contextlib.suppress(OSError):  # it may be stdout itself that takes no more
                show_json({"problems": problems_json([problem])})
        raise typer.Exit(Stage.SUBMIT.exit_code) from None
    except KeyboardInterrupt as interrupt:
        say(f"interrupted {interrupt}".rstrip())
        raise typer.Exit(INTERRUPTED) from None
