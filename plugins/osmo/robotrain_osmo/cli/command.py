"""The `osmo` command, called: what it answered, or its lines as they come. `refusals` knows what that means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robotrain_osmo.cli import process
from robotrain_osmo.cli.answer import Answer
from robotrain_osmo.cli.process import NoCommand

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from robotrain_osmo.cli.stream import Stream

__all__ = ["SECONDS", "Answer", "NoCommand", "run", "stream"]

SECONDS = 60.0
LAST_WORDS_SECONDS = 1.0
"""What a killed command may still have to say."""


def run(cli: str, *words: str, seconds: float = SECONDS, shown: bool = False, holding: Sequence[int] = ()) -> Answer:
    """Call it and wait for its end; it is killed after `seconds`, and when this thread is interrupted.

    shown: its stderr is ours, for progress bars. holding: open files that it has, too. Judges nothing: look at `code`.
    Raises NoCommand.
    """
    import subprocess

    pipe = subprocess.PIPE
    started = process.start(cli, words, stdout=pipe, stderr=None if shown else pipe, pass_fds=holding)
    overdue = False
    try:
        out, err = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        overdue = True
        process.end(started)
        out, err = _last_words(started)
    finally:
        process.let_go(started)
    return Answer(started.returncode, _text(out), _text(err), overdue)


def stream(cli: str, *words: str) -> Stream:
    """Call it and read its lines as they come; for a `with`. Raises NoCommand."""
    from robotrain_osmo.cli.stream import Stream

    return Stream(cli, words)


def _last_words(started: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    import subprocess

    try:
        return started.communicate(timeout=LAST_WORDS_SECONDS)
    except subprocess.TimeoutExpired as late:  # somebody who left its group holds the pipe
        return late.stdout or b"", late.stderr or b""


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
