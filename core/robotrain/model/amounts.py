"""Sizes and times as people write and read them: `50GB`, `30d`, `7.6 GB`, `1:05 min`."""

import re


def format_duration(seconds: float) -> str:
    """`8 s`, `1:05 min`, `2:03 h`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
SECONDS = {"min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MAX_AMOUNT = 1e15


def parse_size(text: str) -> int:
    """Bytes: `50GB`, `7.5 GiB`, `500M`. Raises ValueError for what is no size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower(), re.ASCII)
    if not found or found[2] not in SIZES or (size := float(found[1]) * SIZES[found[2]]) > MAX_AMOUNT:
        raise ValueError("a size is a number and a unit: 50GB, 500MB")
    return int(size)


def parse_duration(text: str) -> float:
    """Seconds: `30d`, `12h`, `2w`, `45min`. Raises ValueError for what is no span of time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)", text.strip().lower(), re.ASCII)
    if not found or (seconds := float(found[1]) * SECONDS[found[2]]) > MAX_AMOUNT:
        raise ValueError("a span of time is a number and a unit: 30d, 12h, 2w, 45min")
    return seconds


def format_size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def format_age(seconds: float) -> str:
    """`just now`, `5 minutes ago`, `3 days ago`."""
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
