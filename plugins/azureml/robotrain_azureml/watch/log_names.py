"""Which logs of a job are its own, and in which order they are shown. Pure."""

import re
from collections.abc import Iterable

OWN = r"user_logs/std_log[^/]*\.txt"
"""Of its process, or of several."""
EARLIER = r"azureml-logs/\d\d.+\.txt"
"""As computes of an earlier kind call them."""


def own(names: Iterable[str]) -> list[str]:
    """What its processes printed: that of the only or the first one first, then by number."""
    known = list(names)
    found = [name for name in known if re.fullmatch(OWN, name)]
    return sorted(found or [name for name in known if re.fullmatch(EARLIER, name)], key=_order)


def _order(name: str) -> tuple[int, list[tuple[int, str]]]:
    parts = re.split(r"(\d+)", name)
    return len(parts), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
