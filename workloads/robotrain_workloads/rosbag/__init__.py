"""Reading ROS 2 bags: files, messages, time, episodes and pictures. Needs the extra `rosbag`."""

from collections.abc import Mapping

MAX_APART_S = 1.0
"""How much the header stamps of topics may differ in their distance from the times of recording."""
SLOW_FACTOR = 1.5
"""A topic whose messages are this many steps apart is too slow for the rate."""


def explain_clocks(late_seconds: Mapping[str, float]) -> str:
    """Return why times of different topics cannot be compared; empty if they can.

    :param late_seconds: the seconds by which the messages of each topic were recorded after their stamps.
    """
    usual_seconds = min(late_seconds.values(), key=abs, default=0.0)
    outliers = [name for name, seconds in late_seconds.items() if abs(seconds - usual_seconds) > MAX_APART_S]
    if not outliers:
        return ""
    seconds = late_seconds[outliers[0]]
    other_topics = ", ".join(name for name in late_seconds if name not in outliers)
    return (
        f"{', '.join(outliers)} {'has a clock of its own' if len(outliers) == 1 else 'have a clock of their own'}:"
        f" the header stamps are {abs(seconds):.1f} s {'behind' if seconds > 0 else 'ahead of'} the times of"
        f" recording, and the times of {other_topics} are not; --timestamp log takes the times of recording"
    )
