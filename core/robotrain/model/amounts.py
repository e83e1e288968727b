"""Sizes and durations as text: parsed from `50GB` and `30d`, formatted as `7.6 GB` and `1:05 min`."""

import re

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
