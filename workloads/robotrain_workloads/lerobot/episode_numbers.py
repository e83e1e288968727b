"""Numbers of recorded episodes as people give them: `0,3,5-9`. Standard library only."""

import re
from collections.abc import Iterable, Sequence

EXCLUDED = "exclude_episodes"
"""The parameter with the episodes that are left out."""
EXCLUDE_FLAG = "--exclude-episodes"
EXAMPLE = "0,3,5-9"
RANGE_PATTERN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


def parse_ranges(text: str) -> list[range]:
    """Return the ranges; the text may be a list in brackets. Raise ValueError with a sentence."""
    ranges = []
    for part in (part.strip(" '\"") for part in text.strip(" []").split(",")):
        match = RANGE_PATTERN.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is neither an episode number nor a range" if part else "a number is missing")
        first = int(match[1])
        last = int(match[2] or match[1])
        if last < first:
            raise ValueError(f"the range {part} ends before it begins")
        ranges.append(range(first, last + 1))
    return ranges


def select_episodes(ranges: Sequence[range], total: int) -> list[int]:
    """Return the numbers in order, each once. Raise ValueError for numbers that do not exist."""
    last = max((part[-1] for part in ranges), default=-1)
    if last >= total:
        raise ValueError(
            f"the dataset has {total} episode{'s' * (total != 1)}, numbered from 0: there is no episode {last}"
        )
    return sorted({number for part in ranges for number in part})


def format_ranges(episodes: Iterable[int], separator: str = ",") -> str:
    """Return numbers as ranges: `3,7-9`."""
    runs: list[list[int]] = []
    for number in sorted(set(episodes)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return separator.join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def keep_excluded(text: str, excluded: str | None) -> str:
    """Return a text where a suggestion to leave episodes out names those too that are left out already."""
    return text.replace(f"{EXCLUDE_FLAG} ", f"{EXCLUDE_FLAG} {excluded},") if excluded else text


def leave_out(excluded: str | None, total: int, chosen: Iterable[int] | None = None) -> list[int]:
    """Return the chosen episodes, else all, without the excluded ones. Raise ValueError with a sentence."""
    numbers = range(total) if chosen is None else chosen
    if not excluded:
        return [*numbers]
    try:
        unwanted = {*select_episodes(parse_ranges(excluded), total)}
    except ValueError as error:
        raise ValueError(f"{EXCLUDE_FLAG} {excluded}: {error}") from None
    remaining = [number for number in numbers if number not in unwanted]
    if not remaining:
        raise ValueError(f"{EXCLUDE_FLAG} {excluded} leaves no episode")
    return remaining
