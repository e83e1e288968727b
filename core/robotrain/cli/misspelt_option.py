"""The option that a misspelt one stands for, and whether it takes the value that was typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from robotrain.config.managed_options import fill_in_value
from robotrain.config.validate import is_kind_of_value
from robotrain.nearest_name import is_misspelling

if TYPE_CHECKING:
    from robotrain.cli.options import ComposedOptions

MIN_PREFIX = 3
"""The fewest letters that an option is recognized by because it begins with them."""
MIN_ABBREVIATION = 4
"""The fewest letters of a word that is short for another: `freq`."""
COUNT_WORDS = frozenset(("max", "n", "num", "number", "of", "total"))
"""Words that other tools add to the name of an amount: `--num-training-steps`."""


def find_misspelt_option(flag: str, flags: Iterable[str]) -> str:
    """Return the option that was probably meant; empty if none was.

    Every word of it must be nearly the same, because one other word is another meaning: `--num-nodes` is not
    `--num-workers`.
    """
    words = _split_words(flag)
    options = {option: _split_words(option) for option in flags if option.startswith("--")}
    if len("".join(words)) < 2:
        return ""
    equal_options = [option for option, option_words in options.items() if "".join(option_words) == "".join(words)]
    name = "-".join(words)
    longer = [option for option in options if option.lstrip("-").startswith(name) and len(name) >= MIN_PREFIX]
    if equal_options or len(longer) == 1:
        return (equal_options or longer)[0]
    similar_options = [option for option, option_words in options.items() if _are_similar(words, option_words)]
    if similar_options:
        return max(similar_options, key=lambda option: SequenceMatcher(None, name, option.lstrip("-")).ratio())
    parts = [option for option, option_words in options.items() if _is_part(words, option_words)]
    return parts[0] if len(parts) == 1 else ""


def _split_words(flag: str) -> list[str]:
    return [word for word in re.split("[-_]", flag.lower()) if word]


def _are_similar(words: Sequence[str], other_words: Sequence[str]) -> bool:
    """Return whether each word is that of the other name, or a misspelling of it."""
    if len(words) == len(other_words):
        return all(map(_is_nearly, words, other_words))
    return SequenceMatcher(None, "".join(words), "".join(other_words)).ratio() >= 0.9


def _is_nearly(word: str, other_word: str) -> bool:
    """Return whether a word is a misspelling of another one, or short for it."""
    shorter_word, longer_word = sorted((word, other_word), key=len)
    return (len(shorter_word) >= MIN_ABBREVIATION and longer_word.startswith(shorter_word)) or is_misspelling(
        word, other_word
    )


def _is_part(words: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether one name is the other without its first words, or with words that say that it is an amount."""
    shorter = len(words) > 1 and list(others[-len(words) :]) == list(words)
    return shorter or [word for word in words if word not in COUNT_WORDS] == list(others)


def format_option(flag: str, value: str, options: ComposedOptions) -> str:
    """Return an option with a value, or what stands for one; empty if it takes no such value.

    A value that may be a secret is not repeated.
    """
    name = options.flags[flag]
    option = next(option for option in options.options if option.name == name)
    parameter = options.declared.get(name)
    if not option.metavar:
        off_flag = option.flags[0].partition("/")[2]
        return off_flag if value.lower() == "false" else flag if value.lower() in ("", "true") else ""
    if value and parameter and not is_kind_of_value(parameter, value):
        return ""
    filled_option = fill_in_value(flag, value)
    return f"{flag} {option.metavar.strip('[]')}" if filled_option == flag else filled_option
