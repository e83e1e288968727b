"""Cuts of a scheduler's submit: its script is killed before one of its lines, as when its machine fails."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from robotrain.run_folder.transport import Transport

NO_STATEMENTS = ("#", "}", "fi", "do", "done", "then", "else", "esac")
CUT = "kill -KILL $$"
FORGET = ': >"$answer"'
SENDS = "create_folder\n"


def list_cuts(script: str) -> list[int]:
    """Return the lines of a script before which it can be cut: all that it may come to, with one of its report."""
    lines = script.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("trap '' HUP"))
    starts = [number for number in range(start, len(lines)) if not lines[number].lstrip().startswith(NO_STATEMENTS)]
    return [number for number in starts if lines[number].strip() and not lines[number].endswith("() {")]


class SubmitScript:
    """The script that a submit runs next."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self._patched, self.text = patched, ""

    @contextlib.contextmanager
    def kill_at(self, number: int | None = None, before: str = "", after: str = "", cut: str = CUT) -> Iterator[None]:
        """Kill it before a line by its number, or before or after the first line that begins so; without any, never.

        :param cut: what takes the place of its end.
        """
        run = Transport.run

        def run_cut(transport: Transport, script: str, *more: Any, **kwargs: Any) -> object:
            if SENDS in script:
                self.text = script
                lines = script.splitlines()
                cut_index = number
                for line_start, step in ((before, 0), (after, 1)):
                    if line_start:
                        cut_index = (
                            next(index for index, line in enumerate(lines) if line.startswith(line_start)) + step
                        )
                if cut_index is not None:
                    script = "\n".join([*lines[:cut_index], cut, *lines[cut_index:]])
            return run(transport, script, *more, **kwargs)

        with self._patched.context() as patched:
            patched.setattr(Transport, "run", run_cut)
            yield


def interrupt_submits(patched: pytest.MonkeyPatch) -> Iterator[AbstractContextManager[object]]:
    """Yield the interruptions of a scheduler's submit, for `World.interruptions`.

    After its folder was created; before the submit command is called, and after it; before its answer was written.
    """
    submit = SubmitScript(patched)
    yield submit.kill_at(before='cd "$folder"')
    yield submit.kill_at(before="send ")
    yield submit.kill_at(after="send ")
    yield submit.kill_at(before="    code=$?", cut=f"{FORGET}; {CUT}")
