"""Reading ROS 2 bags: files, messages, time, episodes and pictures. Needs the extra `rosbag`."""

from typing import Literal

Sync = Literal["nearest", "previous"]
"""Which message counts at a step: the nearest one, or the one before."""
ClockJump = Literal["refuse", "split"]
"""What a clock that goes back by more than a second does to its bag."""
