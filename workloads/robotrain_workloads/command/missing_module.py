"""A program that ends because nothing installs a module that it imports. Imports nothing of core: jobs carry it."""

import os
import re
from collections.abc import Callable, Iterable, Iterator

from robotrain_runtime.contract.container_plugin import PROGRAM_PYTHON_VARIABLE
from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.command.program_spec import ProgramSpec

SHIPPED_ENVIRONMENT = "lerobot-train"
SHIPPED_MODULES = frozenset(
    {"accelerate", "datasets", "diffusers", "einops", "gymnasium", "lerobot", "safetensors", "torch", "torchvision"}
)
"""What programs import that the environment of this workload has."""
ERROR = re.compile(rb"ModuleNotFoundError: No module named '([^'.]+)[^']*'")


class MissingModule:
    """Says what installs a module, once a program without an environment of its own has ended for want of it."""

    def __init__(self, spec: ProgramSpec, send: Callable[[Note], object] = emit_event) -> None:
        self._is_installed = PROGRAM_PYTHON_VARIABLE in os.environ or not spec.values["install"]
        self._send = send
        self._found: re.Match[bytes] | None = None

    def read_lines(self, lines: Iterable[bytes]) -> None:
        """Look for the error in lines of the output."""
        for output_line in lines:
            if match := ERROR.match(output_line):
                self._found = match

    def read_new(self) -> None:
        """Do nothing: only a program that has ended was stopped by it."""

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Say what installs the module."""
        if self._found and exit_code and not is_stopped and not self._is_installed:
            name = self._found[1].decode(errors="replace")
            ways = [("--requirements FILE",)]
            if name in SHIPPED_MODULES:
                ways.append((f"--shipped-environment {SHIPPED_ENVIRONMENT}",))
            error_line = self._found[0].decode(errors="replace")
            note_text = f"{error_line}. The job installs no packages: add {' or '.join(way[0] for way in ways)}."
            self._send(Note(level="error", text=note_text, ways=tuple(ways)))
        yield from ()
