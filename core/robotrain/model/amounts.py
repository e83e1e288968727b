"""Sizes, durations and times as text: parsed from `50GB` and `2 weeks ago`, formatted as `7.6 GB` and `1:05 min`."""

import re
import time
from datetime import datetime, timedelta

from robotrain_runtime.contract.files import format_duration as format_duration
from robotrain_runtime.contract.files import format_size as format_size

SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
SECONDS = {"min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MAX_AMOUNT = 1e15


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `50GB`, `7.5 GiB` or `500M`. Raise ValueError if it is invalid."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower(), re.ASCII)
    if not match or match[2] not in SIZES or (size := float(match[1]) * SIZES[match[2]]) > MAX_AMOUNT:
        raise ValueError("a size is a number and a unit: 50GB, 500MB")
    return int(size)


DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(?:(min)(?:ute)?s?|(h)(?:(?:ou)?rs?)?|(d)(?:ays?)?|(w)(?:eeks?)?)", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as `30d`, `12h` or `2 weeks`. Raise ValueError if it is invalid."""
    match = DURATION.fullmatch(text.strip().lower())
    if not match or (seconds := float(match[1]) * SECONDS[match[match.lastindex or 1]]) > MAX_AMOUNT:
        raise ValueError("a duration is a number and a unit: 30d, 12h, 2w, 45min")
    return seconds


DAY = re.compile(r"\d{4}-?\d\d-?\d\d")
"""A date without a time."""


def parse_past_time(text: str, now: float, is_end: bool = False) -> float:
    """Return when something was: `7d` or `2 weeks ago` before now, or a date. Raise ValueError if it is invalid.

    :param now: seconds since the epoch, as the result.
    :param is_end: whether of a day without a time its last moment is meant, not its first.
    """
    text = text.strip().lower()
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        day_start = midnight - timedelta(days=text == "yesterday")
        return _end_day(day_start).timestamp() if is_end else day_start.timestamp()
    try:
        return now - parse_duration(text.removesuffix("ago"))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.upper())
        return (_end_day(moment) if is_end and DAY.fullmatch(text) else moment).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("a time is 7d, 12h, 30min, 2 weeks, today, yesterday, or a date: 2026-11-15") from None


def _end_day(midnight: datetime) -> datetime:
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
