"""A program that gets ready for the work while data is fetched."""

import json
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT
from robotrain_runtime.process import child
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import stop_process


class WarmUp:
    """The program of `WorkloadContainerPlugin.warm_up`, if it has one.

    on_refused: called in a thread with the reason if the program finds that the work would fail.
    edit_line: as for `child.Program`.
    """

    def __init__(
        self, relay: EventRelay, on_refused: Callable[[str], None], edit_line: Callable[[str], str] = str
    ) -> None:
        self._relay = relay
        self._edit_line = edit_line
        self._on_refused = on_refused
        self._command: WorkCommand | None = None
        self._program: child.Program | None = None
        self._lock = threading.Lock()

    def start(self, python: str, command: WorkCommand, environ: Mapping[str, str]) -> None:
        """Start it. Raise OSError."""
        self._command = command
        self._program = program = child.Program(
            [python, *command.arguments],
            environ=environ,
            on_line=self._relay.write_line,
            on_event=self._relay.forward,
            stdin=subprocess.PIPE,
            edit_line=self._edit_line,
        )
        child.start_reader(self._watch, program)

    def take_over(self, work: WorkCommand) -> child.Program | None:
        """Return the program, now doing the work; None if the work has to be started."""
        program = self._release()
        if program is None or self._command is None:
            return None
        if program.process.poll() is None:
            if self._command.takes_over and self._command.environ == work.environ:
                assert program.process.stdin is not None
                with suppress(BrokenPipeError), program.process.stdin as pipe:
                    pipe.write(json.dumps(work.arguments).encode() + b"\n")
                return program
            _end(program)
        return program if program.process.wait() == EXIT_PREFLIGHT else None

    def close(self) -> None:
        """End it, unless it does the work."""
        if program := self._release():
            _end(program)

    def _release(self) -> child.Program | None:
        with self._lock:
            program, self._program = self._program, None
        return program

    def _watch(self, program: child.Program) -> None:
        if program.process.wait() == EXIT_PREFLIGHT:
            reason = program.explain_exit()
            if self._release():
                self._on_refused(reason)


def _end(program: child.Program) -> None:
    stop_process(program.process, child.LAST_OUTPUT_SECONDS)
    program.finish_reading()
