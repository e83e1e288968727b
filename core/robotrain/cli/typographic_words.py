"""Words with the dashes and quotes of a text processor, which a page or a chat puts in place of those of a shell."""

import re
from collections.abc import Sequence

from robotrain.errors import Problem
from robotrain.line_edits import suggest_line
from robotrain.messages import Messages
from robotrain.redaction import redact

make_problem = Messages(__file__)

DASHES = {
    "\u2010": "hyphen",
    "\u2011": "non-breaking hyphen",
    "\u2012": "figure dash",
    "\u2013": "en dash",
    "\u2014": "em dash",
    "\u2015": "horizontal bar",
    "\u2212": "minus sign",
}
"""What looks like the hyphen of an option."""
_DASH, _QUOTE = f"[{''.join(DASHES)}]", "[\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb]"
_FLAG, _TEXT = r"(?P<flag>(?:--?[\w.-]+=)?)", f"[^{_QUOTE[1:-1]}]*"
OPTION = re.compile(rf"-?{_DASH}(?:-|{_DASH})*(?P<name>[A-Za-z][\w.-]*(?:=.*)?|$)", re.DOTALL)
QUOTE = re.compile(rf"{_FLAG}{_QUOTE}.*|.*{_QUOTE}", re.DOTALL)
QUOTED = re.compile(rf"{_FLAG}{_QUOTE}(?P<text>.*){_QUOTE}", re.DOTALL)
OPENED, CLOSED = re.compile(f"{_FLAG}{_QUOTE}{_TEXT}"), re.compile(f"{_TEXT}{_QUOTE}")


def make_typography_problem(line: Sequence[str]) -> Problem | None:
    """Return the problem of a line with such words, and the line that is meant; None for a line without any.

    :param line: what was typed after `robotrain`.
    """
    wrong_words = [word for word in line if OPTION.fullmatch(word) or QUOTE.fullmatch(word)]
    meant_words = [_drop_quotes(word) for word in _join_quoted([*map(_correct_dashes, line)])]
    if not wrong_words or meant_words == [*line]:
        return None
    ways = suggest_line(meant_words)
    first_word = wrong_words[0]
    dash = next((name for sign, name in DASHES.items() if sign in first_word[:2]), "")
    if dash:
        return make_problem("dash-typographic", *ways, given=first_word, word=redact(first_word), dash=dash)
    return make_problem("quotes-typographic", *ways, given=first_word, word=redact(first_word))


def _correct_dashes(word: str) -> str:
    """Return a word with the hyphens of an option: before a letter one, before a name two."""
    option = OPTION.fullmatch(word)
    if option is None:
        return word
    name, equals, _ = option["name"].partition("=")
    return f"{'-' if len(name) == 1 and not equals else '--'}{option['name']}"


def _join_quoted(line: Sequence[str]) -> list[str]:
    """Return the words, those of a text between such quotes as one, as real quotes would make it."""
    words = list[str]()
    opened = list[str]()
    for word in line:
        if not opened and not OPENED.fullmatch(word):
            words.append(word)
            continue
        opened.append(word)
        if len(opened) > 1 and CLOSED.fullmatch(word):
            words.append(" ".join(opened))
            opened = []
    return [*words, *opened]


def _drop_quotes(word: str) -> str:
    """Return a word without such quotes around its text."""
    quoted = QUOTED.fullmatch(word)
    return f"{quoted['flag']}{quoted['text']}" if quoted else word
