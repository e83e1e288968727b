"""A base class for platforms whose engine runs elsewhere, without a disk that this machine reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform import Platform, PlatformEngine, format_cancel_command, make_feature_error
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.cluster.outputs import ExpectedOutput
    from robotrain.model.reference import Reference
    from robotrain.model.run import Output

make_problem = Messages(__file__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 4.0


class ClusterEngine(PlatformEngine):
    """A platform that asks a remote engine for everything."""

    engine_name: str = ""
    """The engine's name, for messages."""
    cancel_seconds: float = 60.0
    """How long `cancel` waits for the end of a run, which an engine ends after it accepted the request."""

    def request_cancel(self, reference: Reference) -> str:
        """Ask the engine to end a run. Return why it refused, as it does for one that has just ended; else "".

        Raise RunGone or Rejected.
        """
        raise make_feature_error(self.platform, "cancel")

    def has_ended(self, reference: Reference) -> bool:
        """Return whether a run has ended. Raise RunGone or Rejected."""
        return self.status(reference).finished

    def cancel(self, reference: Reference) -> None:
        """Stop a run and wait until it has ended; one that has ended does not change. Raise RunGone or Rejected."""
        if self.has_ended(reference):
            return
        refusal = self.request_cancel(reference)
        if self._wait_until_ended(reference, 0.0 if refusal else self.cancel_seconds):
            return
        raise make_cancel_error(self.platform, self.engine_name, reference, refusal, self.cancel_seconds)

    def _wait_until_ended(self, reference: Reference, seconds: float) -> bool:
        """Return whether the run ends in time; transient errors are ignored."""
        deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
        while True:
            try:
                if self.has_ended(reference):
                    return True
            except Rejected as rejected:
                if not rejected.transient:
                    raise
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


def make_cancel_error(platform: Platform, engine: str, reference: Reference, refusal: str, seconds: float) -> Rejected:
    """Return the error of a run that did not end in time, or that its engine refused to end.

    :param engine: its name, for messages.
    :param refusal: why it refused; empty if it did not.
    """
    run = reference.get("run", "")
    name = next(iter(platform.engine.describe_reference(reference).values()), run)
    force = format_cancel_command(platform, reference)
    if refusal:
        message = "cancel-refused"
        command = Suggestion(f"robotrain status {run}".rstrip(), "shows its state")
    else:
        message = "cancel-pending"
        command = Suggestion(f"robotrain wait {run}".rstrip(), "waits for its end")
    ways = (command, Suggestion(force, "if its cluster is gone") if force else "")
    reason = redact(refusal, max_length=500)
    return Rejected([make_problem(message, *ways, engine=engine, name=name, seconds=seconds, why=reason.rstrip("."))])


class PipelineClusterEngine(ClusterEngine):
    """A cluster whose engine runs a pipeline as one run, of which each step is a part."""

    def select_step(self, reference: Reference) -> Reference:
        """Return the reference of a step as that of a run; any other one as it is. Raise RunGone or Rejected."""
        raise NotImplementedError

    def read_log(self, reference: Reference, tail: int | None) -> Iterator[str]:
        """Yield the lines of the log so far, or its last ones. Raise RunGone or Rejected."""
        raise NotImplementedError

    def follow_log(self, reference: Reference, tail: int | None) -> Iterator[str]:
        """Yield the lines of the log to its end, beginning with its last ones so far. Raise RunGone or Rejected."""
        raise NotImplementedError

    def expect_output(self, reference: Reference, output: Output) -> ExpectedOutput:
        """Return what a download of an output must be."""
        raise NotImplementedError

    def fetch_output(self, reference: Reference, output: Output, to: Path) -> None:
        """Download an output into the empty folder `to`. Raise Rejected, OSError, JobFailed."""
        raise NotImplementedError

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the run's lines, including events; the engine's have a prefix. Raise RunGone or Rejected."""
        reference = self.select_step(reference)
        return self.follow_log(reference, tail) if follow else self.read_log(reference, tail)

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Download an output to the new folder `to`, atomically. Raise Rejected if it cannot be downloaded."""
        from robotrain.cluster.outputs import download_verified

        reference = self.select_step(reference)
        expected_output = self.expect_output(reference, output)
        download_verified(output, to, partial(self.fetch_output, reference, output), expected_output)
