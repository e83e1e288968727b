"""Starts a program from a process that has imported what it needs: quickly, and a kill hits its work, not its start."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

PROGRAM = """
import importlib, json, os, runpy, sys
program, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(module)
for line in sys.stdin:
    words, environ, output = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(environ)
        nowhere = os.open(os.devnull, os.O_RDWR)
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream, to in enumerate((nowhere, written, written)):
            os.dup2(to, stream)
        sys.argv = [program, *words]
        runpy.run_module(program, run_name="__main__")
        sys.exit()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class ForkServer:
    """Runs one command at a time, in a child of a process that has imported `modules`."""

    def __init__(
        self,
        *modules: str,
        environ: Mapping[str, str] | None = None,
        python: str = sys.executable,
        program: str = "robotrain",
    ) -> None:
        """`program`: the module that the commands run, in the environment of `python`."""
        self.environ = dict(os.environ if environ is None else environ)
        words = [python, "-c", PROGRAM, program, *modules]
        self._server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True)

    def start(self, words: Sequence[str], environ: Mapping[str, str] | None = None, output: str = os.devnull) -> int:
        """Start a command with these variables, else its own; return its process id. Its output goes to a file."""
        assert self._server.stdin
        given = self.environ if environ is None else dict(environ)
        print(json.dumps([words, given, output]), file=self._server.stdin, flush=True)
        return self._read_number()

    def wait(self) -> int:
        """Return the exit status of the command that was started, as `subprocess` has it."""
        return self._read_number()

    def close(self) -> None:
        """End the process that forks."""
        self._server.communicate()

    def _read_number(self) -> int:
        assert self._server.stdout
        return int(self._server.stdout.readline())
