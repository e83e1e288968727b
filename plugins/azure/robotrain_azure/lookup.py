"""Look-ups before a submit: transient failures of Azure are retried for up to 15 minutes, with a line for each wait.

Otherwise a job could be sent without its identity only because Azure was busy.
"""

import sys
import threading
import time

from robotrain_azure.arm import ArmClient, ArmError

PATIENCE_SECONDS = 900.0
"""How long the look-ups of a submit wait in all, from the first failure."""
SHORT_PATIENCE_SECONDS = 2.0
"""The same for failures that waiting hardly helps, such as a host without an address."""
LONGEST_PAUSE = 60.0
QUIET_SECONDS = 120.0
"""After so long without a failure, the next one is that of another submit."""


class LookupClient(ArmClient):
    """A client of the resource manager for what a submit looks up. Raises ArmError."""

    longest_pause = LONGEST_PAUSE

    def __init__(self) -> None:
        super().__init__(SHORT_PATIENCE_SECONDS)

    def wait_to_retry(self, error: ArmError, seconds: float, until: float) -> bool:
        """Wait as all look-ups of this process do, if waiting helps."""
        return _WAITS.wait(error, seconds) if error.is_passing else super().wait_to_retry(error, seconds, until)


class _SharedWaits:
    """The waits of all look-ups of this process, which many threads make at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since = self._until = self._said_until = float("-inf")

    def wait(self, error: ArmError, seconds: float) -> bool:
        """Wait, and say so unless another thread said that it waits as long; return False if the time is over."""
        with self._lock:
            now = time.monotonic()
            if now > self._until + QUIET_SECONDS:
                self._since = now
            if now + seconds > self._since + PATIENCE_SECONDS:
                return False
            self._until = max(self._until, now + seconds)
            is_new, self._said_until = now + seconds > self._said_until + 1, max(self._said_until, now + seconds)
        if is_new:
            print(f"waiting {seconds:g} s: {error}", file=sys.stderr, flush=True)
        time.sleep(seconds)
        return True


_WAITS = _SharedWaits()
