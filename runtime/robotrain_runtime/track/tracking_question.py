"""The question whether a run could be tracked, asked while something else goes on: by the half of the address, in the
half's environment, or by ourselves.
"""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from robotrain_runtime import halves, reason, surroundings
from robotrain_runtime.document import JobDocument
from robotrain_runtime.finding import Finding
from robotrain_runtime.half import Environment
from robotrain_runtime.later import Later
from robotrain_runtime.track import looking, tracking_check

HALF_SECONDS = 25.0
MOMENT = 1.0


class Question:
    """One question; it is asked at once. python: brings the interpreter of a half's environment, here and now.

    Raises Failed when the half cannot be imported, and what `python` raises.
    """

    def __init__(self, document: JobDocument, python: Callable[[Environment], Path]) -> None:
        self._uri = document.placement.tracking_uri
        half = halves.tracking(document)
        self._seconds = tracking_check.SECONDS if half is None else HALF_SECONDS
        if half is None:
            self._asked = Later(lambda: list(tracking_check.findings(self._uri)))
            return
        command = [str(python(half.ENVIRONMENT)), "-m", looking.__name__, str(vars(half)["__name__"]), self._uri]
        environ = surroundings.environ(document)
        self._asked = Later(lambda: _looked(command, environ, self._uri))

    def findings(self) -> list[Finding]:
        """What stands in the way; waited for, but not for ever: looking up a name knows no limit."""
        try:
            return self._asked.answer(self._seconds + MOMENT)
        except TimeoutError:
            return [tracking_check.silent(self._uri, self._seconds)]


def _looked(command: Sequence[str], environ: Mapping[str, str], uri: str) -> list[Finding]:
    try:
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=HALF_SECONDS,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return [tracking_check.silent(uri, HALF_SECONDS)]
    lines = done.stdout.splitlines()
    told = next((line for line in lines if line.startswith(looking.MARK)), "")
    if not told:
        return [tracking_check.unasked(uri, reason.of_exit(done.returncode, lines))]
    return [Finding(**{**one, "ways": tuple(one["ways"])}) for one in json.loads(told.removeprefix(looking.MARK))]
