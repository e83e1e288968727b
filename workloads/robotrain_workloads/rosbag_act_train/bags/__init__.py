"""Reading ROS 2 bags: files, messages, time, episodes and pictures. Needs the extra `rosbag`."""

from typing import Literal

Sync = Literal["nearest", "previous"]
"""Which message counts at a step: the nearest one, or the one before."""
Clock = Literal["header", "log"]
"""Which time counts: that of header stamps, where all are set, or that of the recording."""
ClockJump = Literal["refuse", "split"]
"""What a clock that goes back does to its bag."""
