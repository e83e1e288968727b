"""Sizes and times as OSMO reads them. Its units are powers of 1024, also where they are written without an `i`."""

import re

from robotrain_azure import times
from robotrain_azure.times import QuantityError

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
LONGEST = 60 * 86400
"""Seconds. OSMO cuts what is longer down to it, and says nothing."""


def size(text: str) -> float:
    """Bytes of `48Gi`. Raises QuantityError."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)(?:([KMGT])(?:i|iB)?)", text, re.ASCII)
    if not found:
        raise QuantityError("A size is a number and one of the units Ki, Mi, Gi and Ti.", _size_instead(text))
    if not (count := float(found[1])):
        raise QuantityError("It is nothing, and the task needs some.", "48Gi")
    return count * UNITS[found[2]]


def seconds(text: str) -> float:
    """Seconds of `12h`. Raises QuantityError."""
    return times.seconds(text, LONGEST, "OSMO lets nothing run or wait for more than 60 days, and cuts it silently.")


def _size_instead(text: str) -> str:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text.lower(), re.ASCII)
    return f"{found[1]}{(found[2] or 'g').upper()}i" if found else ""
