"""NVIDIA OSMO on one machine: an executable `osmo`, its service, its stores and its pods, in one folder.

It judges as the real one does: what that refuses is refused, with the same words, on the same stream, with the same
exit status. Nothing listens and nothing runs beside it; every call reads and writes files. What is submitted waits
until a test sets its status, or runs its payload for real.
"""

from osmo_stand_in.config import platform, pool
from osmo_stand_in.stand_in import OsmoStandIn, Workflow

__all__ = ["OsmoStandIn", "Workflow", "platform", "pool"]
