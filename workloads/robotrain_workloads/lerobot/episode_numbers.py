"""Numbers of recorded episodes as people give them: `0,3,5-9`. Standard library only."""

import re
from collections.abc import Iterable, Sequence

EXCLUDED = "exclude_episodes"
"""The parameter with the episodes that are left out."""
EXCLUDE_FLAG = "--exclude-episodes"
EXAMPLE = "0,3,5-9"
RANGE_PATTERN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


def parse_ranges(ranges_text: str) -> list[range]:
    """Return the ranges; the text may be a list in brackets. Raise ValueError with a sentence."""
    ranges = []
    for part in (part.strip(" '\"") for part in ranges_text.strip(" []").split(",")):
        match = RANGE_PATTERN.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is neither an episode number nor a range" if part else "a number is missing")
        first_number = int(match[1])
        last_number = int(match[2] or match[1])
        if last_number < first_number:
            raise ValueError(f"the range {part} ends before it begins")
        ranges.append(range(first_number, last_number + 1))
    return ranges


def select_episodes(ranges: Sequence[range], total: int) -> list[int]:
    """Return the numbers in order, each once. Raise ValueError for numbers that do not exist."""
    last_number = max((part[-1] for part in ranges), default=-1)
    if last_number >= total:
        raise ValueError(
            f"the dataset has {total} episode{'s' * (total != 1)}, numbered from 0: there is no episode {last_number}"
        )
    return sorted({number for part in ranges for number in part})


def format_ranges(episodes: Iterable[int], separator: str = ",") -> str:
    """Return numbers as ranges: `3,7-9`."""
    number_runs: list[list[int]] = []
    for number in sorted(set(episodes)):
        if number_runs and number == number_runs[-1][-1] + 1:
            number_runs[-1].append(number)
        else:
            number_runs.append([number])
    return separator.join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in number_runs)


def keep_excluded(text: str, excluded: str | None) -> str:
    """Return a text where a suggestion to leave episodes out names those too that are left out already."""
    return text.replace(f"{EXCLUDE_FLAG} ", f"{EXCLUDE_FLAG} {excluded},") if excluded else text


def leave_out(excluded: str | None, total: int, chosen_episodes: Iterable[int] | None = None) -> list[int]:
    """Return the chosen episodes, else all, without the excluded ones. Raise ValueError with a sentence."""
    episode_numbers = range(total) if chosen_episodes is None else chosen_episodes
    if not excluded:
        return [*episode_numbers]
    try:
        excluded_episodes = {*select_episodes(parse_ranges(excluded), total)}
    except ValueError as error:
        raise ValueError(f"{EXCLUDE_FLAG} {excluded}: {error}") from None
    remaining = [number for number in episode_numbers if number not in excluded_episodes]
    if not remaining:
        raise ValueError(f"{EXCLUDE_FLAG} {excluded} leaves no episode")
    return remaining
