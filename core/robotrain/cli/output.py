"""What people and programs read: results on stdout, narration on stderr, problems in one form."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

import typer

from robotrain.problem import INTERRUPTED, SENTENCE, Problem, Rejected, Stage, errors, render


def show(text: str) -> None:
    """A result."""
    _write(sys.stdout, text)


def say(text: str) -> None:
    """Narration: what goes on, for people."""
    _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    """A line to a stream that somebody may have closed: the command goes on, and its exit code is told all the same."""
    if stream is None:
        return
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show_json(value: Any) -> None:
    """A result for programs; numbers that JSON has no word for are the texts "nan", "inf" and "-inf", as in events."""
    import json

    from robotrain_runtime.event import strict

    show(json.dumps(strict(value), indent=2, default=str, allow_nan=False))


def report(problems: Iterable[Problem]) -> None:
    """Every problem, errors last, so that they stand nearest to the prompt."""
    import shutil

    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    for problem in sorted(problems, key=lambda problem: problem.severity == "error"):
        say(render(problem, width))


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems as data; the keys are an API."""
    from robotrain.redaction import redact

    return [
        {
            "code": problem.code,
            "severity": problem.severity,
            "stage": problem.stage.name.lower(),
            "title": redact(problem.title, longest=SENTENCE),
            "where": redact(problem.where),
            "given": problem.given,
            "why": problem.why,
            "instead": [{"text": way.text, "remark": way.remark} for way in problem.instead],
        }
        for problem in problems
    ]


def table(rows: Sequence[Sequence[str]], gap: str = "  ") -> str:
    """Rows with aligned columns; the last column is not padded."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]] if rows else []
    return "\n".join(
        gap.join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]).rstrip()
        for row in rows
    )


@contextlib.contextmanager
def guarded(as_json: bool = False) -> Iterator[None]:
    """Turn what a command raises into its report and exit code; as_json: on stdout as data too."""
    try:
        yield
    except Rejected as rejected:
        report(rejected.problems)
        count = len(errors(rejected.problems))
        if count > 1:
            say(f"{count} problems; nothing was sent")
        if as_json:
            show_json({"problems": problems_json(rejected.problems)})
        raise typer.Exit(rejected.exit_code) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        report([Problem(code="io-failed", stage=Stage.SUBMIT, title=f"{error.strerror or error}{where}")])
        raise typer.Exit(Stage.SUBMIT.exit_code) from None
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(INTERRUPTED) from None
