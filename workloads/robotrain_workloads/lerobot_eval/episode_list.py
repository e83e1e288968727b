"""Which recorded episodes are meant: `held-out`, `all`, or numbers as `0,3,5-9`. Standard library only."""

import re
from collections.abc import Sequence

HELD_OUT, ALL = "held-out", "all"
PART = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
FORM = "0,3,5-9"


def read(text: str) -> list[range] | None:
    """The numbers; None for a word. Raises ValueError with a sentence."""
    if text in (HELD_OUT, ALL):
        return None
    return [_part(part.strip()) for part in text.split(",")]


def chosen(parts: Sequence[range], total: int) -> list[int]:
    """The numbers in order, each once. Raises ValueError with a sentence for those that are not there."""
    last = max((part[-1] for part in parts), default=-1)
    if last >= total:
        raise ValueError(f"the dataset has {total} episode{'s' * (total != 1)}, numbered from 0, and no episode {last}")
    return sorted({number for part in parts for number in part})


def _part(text: str) -> range:
    found = PART.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no number of an episode, and no range of numbers" if text else "A part is empty")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise ValueError(f"The range {text} ends before it begins")
    return range(first, last + 1)
