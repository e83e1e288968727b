"""A checker that has imported LeRobot and answers each question in a fork, so that hundreds are asked in minutes.

As a program (`PYTHON checker_server.py`) it is the checker; `CheckerServer` takes the place of the command that
robotrain starts for each check. What is asked, with which variables and in which folder, is robotrain's own.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


class CheckerServer:
    """Starts the program on the first question to a Python."""

    def __init__(self) -> None:
        self._servers: dict[str, subprocess.Popen[str]] = {}

    def ask(
        self, python: str, words: Sequence[str], environ: Mapping[str, str], seconds: float
    ) -> tuple[int, str, str]:
        """Return the exit code, standard output and standard error of `python WORDS`."""
        if python not in self._servers:
            start = {**environ, "PYTHONPATH": ""}
            self._servers[python] = subprocess.Popen(
                [python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=start
            )
        server = self._servers[python]
        assert server.stdin
        assert server.stdout
        print(json.dumps([list(words), dict(environ), seconds]), file=server.stdin, flush=True)
        code, stdout, stderr = json.loads(server.stdout.readline())
        return code, stdout, stderr

    def close(self) -> None:
        """End the programs."""
        for server in self._servers.values():
            server.communicate()


def serve() -> None:
    """Answer each line of standard input: words, variables and seconds."""
    import_trainer()
    for line in sys.stdin:
        words, environ, seconds = json.loads(line)
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            child = os.fork()
            if child == 0:
                signal.alarm(int(seconds) + 1)
                os.dup2(stdout.fileno(), 1)
                os.dup2(stderr.fileno(), 2)
                run(words, environ)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(json.dumps([code, read(stdout), read(stderr)]), flush=True)


def import_trainer() -> None:
    """Import what every check imports, and describe each option only once."""
    import functools

    import lerobot.policies
    import lerobot.rewards
    import lerobot.scripts.lerobot_train  # noqa: F401
    from draccus.wrappers import field_wrapper
    from lerobot.policies.factory import get_policy_class  # noqa: F401

    field_wrapper.docstring.get_attribute_docstring = functools.cache(field_wrapper.docstring.get_attribute_docstring)


def run(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Do in this process what `PYTHON -m MODULE …` does, and end it."""
    os.environ.clear()
    os.environ.update(environ)
    os.chdir("/")
    sys.path[:1] = environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = list(words[1:])
    code: Any = 0
    try:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # whatever a check raises
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = 1
    with suppress(ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))


def read(file: Any) -> str:
    """Return what a child wrote."""
    file.seek(0)
    return str(file.read().decode("utf-8", "replace"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with suppress(ValueError):
        sys.path.remove(str(Path(__file__).parent))
    serve()
