"""The nearest name: what was probably meant by a misspelt one."""

import os
import re
import shlex
from collections.abc import Iterable
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path

from robotrain.errors import Suggestion

MIN_RATIO, MIN_WHOLE_RATIO = 0.75, 0.9
"""How similar the words of two names must be, or else the whole names: `batchsize` and `batch-size`."""
MAX_SHORT = 4
MIN_PREFIX, MIN_ABBREVIATION = 3, 4
"""The length of a name that others are suggested for because they begin with it, and of a word that is cut off."""


def find_nearest_name(name: str, candidates: Iterable[str]) -> str | None:
    """Return the name that was probably meant: the only one with this beginning, or a similar one; None if none is.

    Capital letters and the dashes before a flag do not count.
    """
    by_spelling = {_simplify(candidate): candidate for candidate in sorted(candidates)}
    name = _simplify(name)
    longer = [spelling for spelling in by_spelling if len(name) >= MIN_PREFIX and spelling.startswith(name)]
    similar = [spelling for spelling in by_spelling if is_misspelling(name, spelling)]
    if len(longer) != 1 and not similar:
        return None
    if len(longer) == 1:
        return by_spelling[longer[0]]
    return by_spelling[max(similar, key=lambda other: SequenceMatcher(None, name, other).ratio())]


def is_misspelling(name: str, other_name: str) -> bool:
    """Return whether two names differ as typing errors do: word by word, since another word or number is another
    meaning. `--num-nodes` is not `--num-workers`.
    """
    name, other_name = _simplify(name), _simplify(other_name)
    words, other_words = (re.split(r"[-.\s]+", text) for text in (name, other_name))
    if min(len(name), len(other_name)) < 2 or re.findall(r"\d+", name) != re.findall(r"\d+", other_name):
        return False
    if _is_similar("".join(words), "".join(other_words), MIN_WHOLE_RATIO):
        return True
    return len(words) == len(other_words) and all(map(_is_nearly, words, other_words))


def _is_nearly(word: str, other_word: str) -> bool:
    """Return whether one word is a misspelling of another, has its letters, or is short for it.

    A short one with another first letter is another word: `cpus` is not `gpus`.
    """
    shorter, longer = sorted((word, other_word), key=len)
    if len(longer) <= MAX_SHORT and word[:1] != other_word[:1]:
        return False
    is_cut = len(shorter) >= MIN_ABBREVIATION and longer.startswith(shorter)
    return is_cut or sorted(word) == sorted(other_word) or _is_similar(word, other_word, MIN_RATIO)


def _is_similar(text: str, other_text: str, least_ratio: float) -> bool:
    matcher = SequenceMatcher(None, text, other_text)  # its bounds cost a tenth
    return all(ratio() >= least_ratio for ratio in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio))


def _simplify(name: str) -> str:
    return name.lstrip("-").lower().replace("_", "-")


def suggest_name(name: str, candidates: Iterable[str], prefix: str = "") -> tuple[Suggestion, ...]:
    """Return the nearest name after `prefix` as a suggestion; empty if no name is near."""
    nearest_name = find_nearest_name(name, candidates)
    return (Suggestion(prefix + nearest_name),) if nearest_name else ()


def suggest_path(path: Path, prefix: str = "") -> tuple[Suggestion, ...]:
    """Return the nearest name beside a path that does not exist, as its path after `prefix`; empty if none is near."""
    with suppress(OSError):
        nearest_name = find_nearest_name(path.name, [sibling.name for sibling in path.parent.iterdir()])
        if nearest_name and not path.exists():
            return (Suggestion(f"{prefix}{shlex.quote(os.path.relpath(path.with_name(nearest_name)))}"),)
    return ()
