"""What was asked of Azure through the SDK, and what it said: so that after a failure it is known what may be there."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TextIO
from urllib.parse import urlsplit

LONGEST_PAUSE = 10.0
"""Seconds between two attempts, whatever Azure asks for."""
SECONDS = {"connection_timeout": 10, "read_timeout": 25}
OF_A_JOB = {"connection_timeout": 10, "read_timeout": 90}
"""An answer that was not waited for is one that nobody knows."""
SILENCE = 10.0
"""Seconds without an answer, after which a line says so."""
NOT_DONE = frozenset(range(400, 500)) - {408, 409}
"""Answers that mean that nothing was done; a conflict is with something that is there."""


@dataclass(slots=True)
class Call:
    """One attempt, at Azure ML or its storage. status: of its answer; 0 as long as there is none."""

    method: str
    host: str
    path: str
    status: int = 0


@dataclass
class Calls:
    """All of them, in their order. before_a_job: called before each request for one; what it raises stops that."""

    made: list[Call] = field(default_factory=list)
    before_a_job: Callable[[], object] = lambda: None

    @property
    def last(self) -> Call | None:
        """What was asked for last; None before the first."""
        return self.made[-1] if self.made else None

    def made_a_job(self) -> bool:
        """Whether a job was asked for, whatever came of it."""
        return any(map(_of_a_job, self.made))

    def may_have_made_it(self) -> bool:
        """Whether a job may be there: one attempt was not refused."""
        return any(_of_a_job(call) and call.status not in NOT_DONE for call in self.made)


def transport(calls: Calls) -> Any:
    """What the SDK sends with, over connections that all its clients share: it notes each attempt."""
    watching = sys.stderr  # the SDK's own words go elsewhere, while it is asked
    transports: Any = importlib.import_module("azure.core.pipeline.transport")
    broken: Any = importlib.import_module("azure.core.exceptions").AzureError

    class Transport(transports.RequestsTransport):  # type: ignore[misc]
        def send(self, request: Any, **how: Any) -> Any:
            try:
                return self._once(request, **how)
            except broken:
                if request.method != "POST":  # the SDK tries all others again; this one asks for a place to upload to
                    raise
                return self._once(request, **how)

        def _once(self, request: Any, **how: Any) -> Any:
            url = urlsplit(request.url)
            call = Call(request.method, url.netloc, url.path)
            if _of_a_job(call):
                calls.before_a_job()
                how = OF_A_JOB | how
            calls.made.append(call)
            with _telling(call, watching):
                answer = super().send(request, **how)
            call.status = answer.status_code
            return answer

        def sleep(self, duration: float) -> None:
            super().sleep(min(duration, LONGEST_PAUSE))

    return Transport(**SECONDS)


@contextlib.contextmanager
def _telling(call: Call, watching: TextIO) -> Iterator[None]:
    """A line, when the answer is long in coming."""

    def tell() -> None:
        with contextlib.suppress(OSError, ValueError):  # it was closed
            print(f"{call.host} has not answered for {SILENCE:g} s; still waiting", file=watching, flush=True)

    timer = threading.Timer(SILENCE, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _of_a_job(call: Call) -> bool:
    return call.method == "PUT" and call.path.rstrip("/").split("/")[-2:-1] == ["jobs"]
