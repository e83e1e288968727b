"""The processes of a program that robotrain did not write, followed to their end."""

import time
from collections.abc import Callable

from robotrain_runtime.process.stop import STOPPED_STATUS, ChildGroup, StopForwarder, kill_orphans, list_children

SAVE_SECONDS = 20.0
"""How long the processes may take to end after a stop."""
CLOSE_SECONDS = 60.0
"""How long they may take to end after the work."""
POLL_SECONDS = 0.25


class GroupFollower:
    """Waits for the processes of a group, and passes a stop on to all of them; a second one kills them."""

    def __init__(self, group: ChildGroup, save_seconds: float = SAVE_SECONDS) -> None:
        self._group = group
        self._stop = StopForwarder(save_seconds)
        self._stop.groups.append(group)
        self._children = list_children()

    def run(self, read: Callable[[], bool] = lambda: False) -> None:
        """Call `read`, which returns whether the work is done, until all processes have ended, and then once more."""
        is_done = False
        while self._group.is_running():
            if read() and not is_done:
                is_done = True
                self._stop.limit_time(CLOSE_SECONDS)
            self._stop.kill_overdue()
            time.sleep(POLL_SECONDS)
        if self._stop.has_killed:  # torchrun was, before it ended its processes, which have groups of their own
            kill_orphans(self._children)
        read()

    @property
    def is_stopped(self) -> bool:
        """Whether this process was asked to stop."""
        return self._stop.is_requested

    @property
    def has_killed(self) -> bool:
        """Whether the processes did not end in time, and were killed."""
        return self._stop.has_killed

    @property
    def stopped_at(self) -> float:
        """When it was, in seconds since the epoch; 0 for never."""
        return self._stop.requested_at

    @property
    def exit_code(self) -> int:
        """The exit code of the program, negative for a signal; 143 after a stop."""
        return STOPPED_STATUS if self.is_stopped else self._group.exit_code or 0

    @property
    def status(self) -> int:
        """The exit code as a shell has it: 128 more than the number of a signal."""
        return 128 - self.exit_code if self.exit_code < 0 else self.exit_code
