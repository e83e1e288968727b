"""The nearest name: what was probably meant by a misspelt one."""

import os
import shlex
from collections.abc import Iterable
from contextlib import suppress
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path

from robotrain.errors import Suggestion

MIN_RATIO = 0.75
"""How similar the letters of names with digits must be."""
MIN_NEAR_RATIO, MIN_OTHER_RATIO = 0.6, 0.7
"""How similar names must be, and short ones that begin otherwise: typing errors seldom change the first letter."""
MAX_SHORT = 6
"""The length of names in which few letters alike make none that is meant: `update` is not `data`."""
SHORT = 3
"""The length of names of which another first letter makes another name."""
MIN_PREFIX = 2
"""The length of a name that others are suggested for because they begin with it."""


def find_nearest_name(name: str, candidates: Iterable[str]) -> str | None:
    """Return the name that was probably meant: the only one with this prefix, or a similar one; None if none is.

    The dashes before a flag do not make it similar to others, and capital letters do not make it another name.
    """
    name_by_spelling: dict[str, str] = {}
    for candidate in sorted(
        candidates, key=str.swapcase
    ):  # of two that differ in capital letters, the one in small ones
        name_by_spelling.setdefault(candidate.lstrip("-").lower(), candidate)
    name = name.lstrip("-").lower()
    prefix_matches = [
        candidate for candidate in name_by_spelling if candidate.startswith(name) and len(name) >= MIN_PREFIX
    ]
    if len(prefix_matches) == 1:
        return name_by_spelling[prefix_matches[0]]
    close_names = get_close_matches(
        name,
        [
            spelling
            for spelling in name_by_spelling
            if _can_be_misspelt(name, spelling) and _has_near_start(name, spelling) and _has_near_key(name, spelling)
        ],
        n=1,
        cutoff=MIN_NEAR_RATIO,
    )
    return name_by_spelling[close_names[0]] if close_names else None


def _can_be_misspelt(name: str, candidate: str) -> bool:
    """Return whether a name with digits may be a misspelt one: another number is another thing, and what is beside it
    has to be nearly the same: `fp16` is not `bf16`. Nor is another first letter of a short name: `gpu` is not `cpu`.
    """
    if len(name) == len(candidate) <= SHORT and name[:1] != candidate[:1]:
        return False
    if not any(map(str.isdigit, name + candidate)):
        return True
    digit_texts = {"".join(filter(str.isdigit, text)) for text in (name, candidate)}
    name_letters, candidate_letters = ("".join(filter(str.isalpha, text)) for text in (name, candidate))
    if min(len(name_letters), len(candidate_letters)) == 0:  # `v0.6.0` and `0.6.0`
        return len(digit_texts) == 1 and len(name_letters + candidate_letters) <= 1
    return len(digit_texts) == 1 and SequenceMatcher(None, name_letters, candidate_letters).ratio() >= MIN_RATIO


def _has_near_start(name: str, candidate: str) -> bool:
    """Return whether two names begin alike, are long, or are so near that the first letter may be the error."""
    is_like = name[:1] == candidate[:1] or len(name) > MAX_SHORT
    return is_like or SequenceMatcher(None, name, candidate).ratio() >= MIN_OTHER_RATIO


def _has_near_key(name: str, candidate: str) -> bool:
    """Return whether two keys of the same table are near without it: `platforms.local.` makes no keys alike."""
    table, _, key = name.rpartition(".")
    other_table, _, other_key = candidate.rpartition(".")
    return not table or table != other_table or SequenceMatcher(None, key, other_key).ratio() >= MIN_NEAR_RATIO


def is_misspelling(word: str, other_word: str) -> bool:
    """Return whether two words differ as typing errors do, which seldom change the first letter."""
    if word == other_word:
        return True
    if not word or not other_word or not _can_be_misspelt(word, other_word):
        return False
    min_ratio = 0.75 if word[0] == other_word[0] else 0.85
    return sorted(word) == sorted(other_word) or SequenceMatcher(None, word, other_word).ratio() >= min_ratio


def suggest_name(name: str, candidates: Iterable[str], prefix: str = "") -> tuple[Suggestion, ...]:
    """Return the nearest name after `prefix` as a suggestion; empty if no name is near."""
    nearest_name = find_nearest_name(name, candidates)
    return (Suggestion(prefix + nearest_name),) if nearest_name else ()


def suggest_path(path: Path, prefix: str = "") -> tuple[Suggestion, ...]:
    """Return the nearest name beside a file that does not exist, as its path after `prefix`; empty if none is near."""
    with suppress(OSError):
        nearest_name = find_nearest_name(
            path.name, [sibling.name for sibling in path.parent.iterdir() if sibling.is_file()]
        )
        if nearest_name and not path.exists():
            return (Suggestion(f"{prefix}{shlex.quote(os.path.relpath(path.with_name(nearest_name)))}"),)
    return ()


def list_meant_files(path_text: str, base: Path) -> list[str]:
    """Return the paths from `base` of the files that a path which names none may mean: those of its name in another
    folder near by, else the one of the nearest name.
    """
    path = Path(path_text)
    folders = [base / path.parent, base, *(child for child in sorted(base.glob("[!.]*")) if child.is_dir())]
    files = [file for folder in folders for file in folder.glob(f"*{path.suffix}") if file.is_file()]
    candidates = sorted({os.path.relpath(file, base) if not path.is_absolute() else str(file) for file in files})
    same_name = [candidate for candidate in candidates if Path(candidate).name == path.name]
    nearest_file = find_nearest_name(os.path.normpath(path_text), candidates)
    return same_name or ([nearest_file] if nearest_file else [])


def correct_folder(text: str, base: Path) -> str:
    """Return a path that exists, with the nearest name for the folder that is missing; empty if there is none."""
    parts = text.rstrip("/").split("/") if not text.startswith("/") else ["/", *text.strip("/").split("/")]
    missing_index = next(
        (index for index in range(len(parts)) if not base.joinpath(*parts[: index + 1]).exists()), len(parts)
    )
    parent = base.joinpath(*parts[:missing_index])
    if missing_index == len(parts) or not parent.is_dir():
        return ""
    nearest_name = find_nearest_name(
        parts[missing_index], [entry.name for entry in os.scandir(parent) if entry.is_dir()]
    )
    corrected = [*parts[:missing_index], nearest_name or "", *parts[missing_index + 1 :]]
    return os.path.join(*corrected) if nearest_name and base.joinpath(*corrected).exists() else ""
