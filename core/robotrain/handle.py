"""A run in the hands of a program: what it is, and waiting for its end, which is an exception unless it succeeded."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator

from robotrain_runtime import event
from robotrain_runtime.event import Registered

from robotrain import cut_off, ended, progress, registration, site_plugins, store
from robotrain.loading import choice
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Problem, Rejected
from robotrain.run import Output, RunRecord, Status

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two questions, while a run goes on."""
PATIENCE_SECONDS = 600.0
"""For a platform that does not say how a run is: a network that is away comes back."""


class RunEnded(Exception):
    """A run that ended otherwise than well. run: its name. status: how it ended, with the reason."""

    def __init__(self, run: str, status: Status) -> None:
        super().__init__(run, status)
        self.run = run
        self.status = status

    def __str__(self) -> str:
        return f"{self.run} {self.status.state}" + (f": {self.status.reason}" if self.status.reason else "")


class RunFailed(RunEnded):
    """It failed."""


class RunCancelled(RunEnded):
    """Somebody stopped it."""


class RunLost(RunEnded):
    """Its process, or its platform, is gone without a word of how it ended."""


OUTCOMES: dict[str, type[RunEnded]] = {"failed": RunFailed, "cancelled": RunCancelled, "lost": RunLost}


class Run:
    """A run that was submitted from here, by its name or the beginning of it; nothing or `last` is the newest.

    remarks: what was worth saying when it was sent, and of a site's plugins that could not be told of its end. Every
    method asks its platform, and raises Rejected where the command line would report a problem. Two of one name are
    equal. just_sent: as by `submit`, whose site's plugins hear of an end that is seen at once.
    """

    def __init__(
        self, name: str = "", plugins: Plugins | None = None, remarks: Iterable[Problem] = (), just_sent: bool = False
    ) -> None:
        self.name = store.find(name)
        self.remarks = tuple(remarks)
        self._plugins = plugins or choice.plugins()
        self._went_on = just_sent  # as far as is known here, and nobody was told of its end

    def __repr__(self) -> str:
        return f"Run({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def record(self) -> RunRecord:
        """What was kept of it when it was sent."""
        return store.read(self.name)

    def status(self) -> Status:
        """How it is now."""
        return self._platform.status(self._sent.reference)

    def progress(self) -> progress.Progress:
        """How far it is: steps, losses, checkpoints, as its log tells by now."""
        return progress.read(self.logs(), self.record.metrics)

    def evaluated(self) -> event.Evaluated | None:
        """What it found of the policy it was given: `.scores` by their names; None while there is nothing."""
        return self.progress().evaluated

    def logs(self, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """Its log line by line, event lines among them; follow: to its end."""
        return self._platform.logs(self._sent.reference, follow, tail)

    def wait(self, timeout: float | None = None, on_event: Callable[[event.Record], None] | None = None) -> Status:
        """How it ended, once it did. on_event: called here with each event of its log, from the first, as they come.

        Raises RunFailed, RunCancelled or RunLost when it did not succeed, and TimeoutError after `timeout` seconds; the
        run goes on then. What its platform raises is raised at once where waiting does not mend it, as when nobody is
        signed in; else when it has told nothing for ten minutes. A site's plugins are told of an end that was seen.
        """
        status = self._followed(timeout, on_event)
        if self._went_on:
            self._went_on = False
            self.remarks += tuple(site_plugins.ended(self._plugins, self.record, status))
        ended.seen(self.name, status)
        return _succeeded(self.name, status)

    def cancel(self) -> None:
        """Stop it and return when it has ended, which a site's plugins are told; a run that ended is left as it is."""
        record, platform = self._sent, self._platform
        if platform.status(record.reference).finished:
            return
        platform.cancel(record.reference)
        status = platform.status(record.reference)
        self._went_on = not status.finished
        ended.seen(self.name, status)
        self.remarks += tuple(self._plugins.run_changed(record, "cancelled", status))

    def outputs(self) -> list[Output]:
        """What it left: complete checkpoints, oldest first, then other files."""
        return list(self._platform.outputs(self._sent.reference))

    def register(self, name: str = "", step: int | None = None) -> Registered:
        """Make a checkpoint (default: the last) a version of a model (default: the one the job names)."""
        return registration.register(self.name, name, step, self._plugins)

    def _followed(self, timeout: float | None, on_event: Callable[[event.Record], None] | None) -> Status:
        """How it ended, once it did."""
        record, platform = self._sent, self._platform
        began = answered = time.monotonic()
        told, pause = 0, FIRST_PAUSE
        while True:
            status: Status | None = None
            try:
                status = platform.status(record.reference)
                answered = time.monotonic()
            except Exception as error:
                if _stays(error) or time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            if on_event is not None:
                for found in self._events(follow=timeout is None, known=told):
                    told += 1
                    on_event(found)
            if status is not None and status.finished:
                return status
            self._went_on = self._went_on or status is not None
            left = LONGEST_PAUSE if timeout is None else began + timeout - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.name} is still {status.state if status else 'not over'} after {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    @property
    def _sent(self) -> RunRecord:
        record = store.read(self.name)
        return record if record.phase == "sent" else cut_off.adopted(record, self._platform)

    @property
    def _platform(self) -> Platform:
        return self._plugins.platform(self.record.platform)

    def _events(self, follow: bool, known: int) -> Iterator[event.Record]:
        """The events of its log past the first `known`; a log that breaks off is only at its end for now."""
        try:
            found = (record for line in self.logs(follow) if (record := event.read(line)))
            yield from itertools.islice(found, known, None)
        except Exception:  # whatever a plugin raises: the run goes on, and its state is asked for
            return


def _stays(error: Exception) -> bool:
    """Whether waiting does not mend it: nobody is signed in, or the run is gone."""
    return isinstance(error, Rejected) and not error.passing


def _succeeded(run: str, status: Status) -> Status:
    """The status of a run that ended well. Raises RunEnded for any other."""
    if status.state != "succeeded":
        raise OUTCOMES[status.state](run, status)
    return status
