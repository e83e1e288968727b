"""`terraform output -json`, run in its folder: within a time limit, without a shell, and without its secrets."""

import contextlib
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.redaction import redact

if TYPE_CHECKING:
    import subprocess

SECONDS = 20.0
QUIET = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
"""Nothing is asked of a person, and nobody is asked whether there is a newer Terraform."""


class Unread(Exception):
    """Why the outputs could not be read: a sentence that repeats none of them. there: whether there is a command."""

    def __init__(self, why: str, there: bool = True) -> None:
        super().__init__(why)
        self.there = there


class Outputs(NamedTuple):
    """values: by name, numbers as the texts they were. hidden: the names of sensitive ones, which are dropped."""

    values: dict[str, Any]
    hidden: frozenset[str]


def read(folder: Path) -> Outputs:
    """The outputs of the state in `folder`. Raises Unread."""
    import json

    try:
        body = json.loads(_printed(folder), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Unread("What it printed is not its outputs as JSON.")
    entries = {name: entry for name, entry in body.items() if isinstance(entry, dict)}
    hidden = frozenset(name for name, entry in entries.items() if entry.get("sensitive", False) is not False)
    return Outputs({name: entry for name, entry in entries.items() if name not in hidden}, hidden)


def _printed(folder: Path) -> bytes:
    """What the command wrote to stdout. Raises Unread."""
    import shutil
    import subprocess

    command = shutil.which("terraform")
    if command is None:
        raise Unread("There is no `terraform` command here.", there=False)
    try:
        process = subprocess.Popen(
            [os.path.abspath(command), "output", "-json"],
            cwd=folder,
            env=os.environ | QUIET,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Unread(f"`terraform` could not be started: {error.strerror}.") from None
    with process:
        try:
            printed, said = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            _end(process)
            raise Unread(f"It gave no answer in {SECONDS:g} s, and was stopped.") from None
        except BaseException:  # Ctrl-C reaches us alone: it runs in a session of its own
            _end(process)
            raise
    if process.returncode:
        raise Unread(f"It ended with exit code {process.returncode}{_first_line(said)}.")
    return bytes(printed)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop it and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _first_line(said: bytes) -> str:
    """The first line that says something, without the frame and the colours that Terraform draws."""
    plain = re.sub(r"\x1b\[[0-9;]*m|[│╷╵]", "", said.decode(errors="replace"))
    line = next((line.strip() for line in plain.splitlines() if line.strip()), "")
    return f": {redact(line).rstrip('.')}" if line else ""
