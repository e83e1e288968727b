"""A log as it comes, to the end of the job, through a network that is away for a while. Each line is told once."""

import time
from collections.abc import Generator, Iterator

from robotrain.run import Reference

from robotrain_azureml.service.refusals import Refused
from robotrain_azureml.service.signed_blob import BlobError
from robotrain_azureml.watch import log_names, status_asked
from robotrain_azureml.watch.log_files import Files
from robotrain_azureml.watch.states import Job

BEGIN_SECONDS = 3.0
"""Between two looks for its beginning."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Between two looks for new lines: longer while there are none."""
LOOK_SECONDS = 5.0
"""Until it is asked again how the job is."""
SETTLED_SECONDS = 1.0
"""Without a new byte after the job's end, until the log counts as whole."""
PATIENCE_SECONDS = 600.0
"""For an Azure that cannot be reached: a network that is away comes back."""


class Following:
    """The log of a job as it comes. tail: only so many of the last lines of what there is at first."""

    def __init__(self, reference: Reference, tail: int | None) -> None:
        self._reference, self._tail = reference, tail
        self._files = Files(reference, Job())
        self._asked = float("-inf")
        self._answered = time.monotonic()

    def lines(self) -> Iterator[str]:
        """All of it, to the job's end. Raises RunGone, Refused."""
        pause, quiet = FIRST_PAUSE, False
        while True:
            heard, before = self._look(), self._files.offset
            well = yield from self._new(heard)
            silent = self._files.offset == before
            if well and silent and self._files.told.finished:
                if quiet:
                    yield from self._files.end()
                    return
                quiet, pause = True, SETTLED_SECONDS
            else:
                quiet, pause = False, min(pause * 1.5, LONGEST_PAUSE) if silent else FIRST_PAUSE
            time.sleep(pause if log_names.own(self._files.told.logs) or quiet else BEGIN_SECONDS)

    def _look(self) -> bool:
        """Ask how the job is, where that is due; whether that is known."""
        if self._files.told.finished or time.monotonic() - self._asked < LOOK_SECONDS:
            return True
        try:
            self._files.told = status_asked.of_region(self._reference)
        except Refused as refused:
            self._bear(refused)
            return False
        self._asked = self._answered = time.monotonic()
        return True

    def _new(self, heard: bool) -> Generator[str, None, bool]:
        """The lines that were not told; answers whether that was all there is. heard: how the job is, is known."""
        if not heard:
            return False
        try:
            if self._tail is None:
                yield from self._files.new()
            else:
                yield from self._files.last(self._tail)
                self._tail = None
        except BlobError as error:
            self._bear(self._files.refused(error))
            return False
        except Refused as refused:  # a new address was not told
            self._bear(refused)
            return False
        self._answered = time.monotonic()
        return True

    def _bear(self, refused: Refused) -> None:
        """Raise what does not pass by itself, or has not for long."""
        if not refused.passing or time.monotonic() - self._answered > PATIENCE_SECONDS:
            raise refused
