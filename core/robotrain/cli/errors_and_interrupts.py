"""What ends a command early: problems, errors of the machine, and Ctrl-C, each with its message and exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import typer

from robotrain.cli.output import dump_problems, print_json, print_message, print_problems
from robotrain.errors import EXIT_INTERRUPTED, Problem, Rejected, Stage, select_errors
from robotrain.messages import Messages

make_problem = Messages(__file__)


@contextlib.contextmanager
def handle_errors(as_json: bool) -> Iterator[None]:
    """Turn what a command raises into messages and an exit code; with as_json print the problems as JSON too."""
    try:
        yield
    except Rejected as rejected:
        _report_problems(rejected.problems, as_json)
        raise typer.Exit(rejected.exit_code) from None
    except OSError as error:
        file_note = f" ({error.filename})" if error.filename else ""
        problem = make_problem("io-failed", error=error.strerror or error, place=file_note)
        with contextlib.suppress(OSError):  # stdout itself may be what failed
            _report_problems([problem], as_json)
        raise typer.Exit(Stage.SUBMIT.exit_code) from None
    except KeyboardInterrupt as interrupt:
        print_message(f"interrupted {interrupt}".rstrip())
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _report_problems(problems: Sequence[Problem], as_json: bool) -> None:
    print_problems(problems)
    if (count := len(select_errors(problems))) > 1:
        print_message(f"{count} problems; nothing was done")
    if as_json:
        print_json({"problems": dump_problems(problems)})
