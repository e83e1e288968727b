"""Times and ages as text: parsed from `yesterday` and `2 weeks ago`, formatted as `5 minutes ago`."""

import re
import time
from typing import TYPE_CHECKING

from robotrain.model.amounts import SECONDS, parse_duration

if TYPE_CHECKING:
    from datetime import datetime

DAY = re.compile(r"\d{4}-?\d\d-?\d\d")
"""A date without a time."""


def parse_past_time(text: str, now: float, is_end: bool = False) -> float:
    """Return when something was: `7d` or `2 weeks ago` before now, or a date. Raise ValueError if it is invalid.

    :param now: seconds since the epoch, as the result.
    :param is_end: whether of a day without a time its last moment is meant, not its first.
    """
    from datetime import datetime, timedelta

    text = text.strip().lower()
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        begin = midnight - timedelta(days=text == "yesterday")
        return _end_day(begin).timestamp() if is_end else begin.timestamp()
    try:
        return now - parse_duration(text.removesuffix("ago"))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.upper())
        return (_end_day(found) if is_end and DAY.fullmatch(text) else found).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("a time is 7d, 12h, 2 weeks, today, yesterday, or a date: 2026-11-15") from None


def _end_day(midnight: "datetime") -> "datetime":
    from datetime import timedelta

    return midnight + timedelta(days=1, microseconds=-1)


def format_age(seconds: float) -> str:
    """Return an age as `just now`, `5 minutes ago` or `3 days ago`."""
    count, unit = format_short_age(seconds).split()
    words = {"d": "day", "h": "hour", "min": "minute"}
    return f"{count} {words[unit]}{'' if count == '1' else 's'} ago" if unit in words else "just now"


def format_short_age(seconds: float) -> str:
    """Return an age such as `40 s`, `12 min`, `3 h` or `9 d`."""
    for unit in ("d", "h", "min"):
        if seconds >= SECONDS[unit]:
            return f"{seconds // SECONDS[unit]:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def format_time(seconds: float) -> str:
    """Return a time, in seconds since the epoch, in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
