"""How a run ends early: with a sentence for the person who runs it, an exit code, and whose fault it is.

The exit codes of the runtime, for platforms whose rules of when to try again go by the code alone:

- 0: it succeeded.
- 1: it failed. So did the work itself, when it ended so; its own other codes are passed on as they are.
- 2: the document, or what it names, cannot be used.
- 4: preflight says that it would fail.
- 75: it failed of its surroundings (the network, say) and may succeed when it is started again; in place of 1 and 4.
- 128+n: signal n ended it: 143 and 130 when it was stopped, 137 when its work was killed.
"""

from __future__ import annotations  # whoever wants an exit code alone need not load the events

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robotrain_runtime.event import Fault

FAILED = 1
REFUSED = 2
PREFLIGHT = 4
AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: "the user is invited to try again"."""


class Failed(Exception):
    """The run cannot go on. The text is its reason."""

    def __init__(self, reason: str, exit_code: int = FAILED, fault: Fault = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
        self.fault: Fault = fault
