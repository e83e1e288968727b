"""Corrected lines: the one that makes a file of YAML or TOML readable, where it cannot be read for one common mistake.

Each likely correction is tried: what is offered, is read.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import tomllib

from robotrain.errors import Suggestion
from robotrain.redaction import can_repeat

MAX_LETTERS = 1 << 16
"""Longer files are not corrected: each trial reads all of one."""
PLACEHOLDER = r"\{[A-Za-z_]\w*\}"
UNQUOTED_WORD = re.compile(rf"(?<![\w\"'{{$=-])([^\s,\[\]\"']*{PLACEHOLDER}[^\s,\[\]\"']*)(?=\s*(?:[,\]]|$))")
"""A word with a placeholder, up to the end of its item."""
BRACKETS = {"[": "]", "{": "}"}
PLAIN_TOML = re.compile(r"true|false|[+-]?[\d_.]+(?:e[+-]?\d+)?|[\[{\"'].*", re.IGNORECASE)
"""A value that needs no quotes in TOML, or has some."""


class CorrectedLine(NamedTuple):
    """A line of a file as it should be."""

    number: int
    text: str
    reason: str
    """What was wrong with it, as a sentence."""


Correct = Callable[[str], Iterator[tuple[str, str]]]
"""Yields what a line may be meant to be, each with what is wrong with it."""


def find_yaml_line(file_text: str, line_numbers: Iterable[int], reads: Callable[[str], bool]) -> CorrectedLine | None:
    """Return the corrected line of a text that is no YAML; None where no correction is certain.

    :param line_numbers: the lines that the parser names, and those that it may mean.
    :param reads: returns whether a text can be read.
    """
    lines = file_text.split("\n")
    if any(_has_tab(line) for line in lines):
        file_text = "\n".join(map(_replace_tabs, lines))
        number = next(number for number, line in enumerate(lines, 1) if _has_tab(line))
        corrected_line = CorrectedLine(number, _replace_tabs(lines[number - 1]), _TAB_REASON)
        return corrected_line if reads(file_text) else None
    return _try_lines(lines, line_numbers, _correct_yaml, reads)


def find_toml_line(file_text: str, line_number: int) -> CorrectedLine | None:
    """Return the corrected line of a text that is no TOML; None where no correction is certain."""
    return _try_lines(file_text.split("\n"), [line_number], _correct_toml, _reads_toml)


def suggest_line(corrected_line: CorrectedLine | None) -> tuple[Suggestion, ...]:
    """Return a corrected line to type; nothing without one, or if it may hold a secret."""
    if corrected_line is None or not can_repeat(corrected_line.text):
        return ()
    return (Suggestion(corrected_line.text.strip()),)


_TAB_REASON = "The line is indented with a tab; YAML needs spaces."


def _try_lines(
    lines: Sequence[str], line_numbers: Iterable[int], correct: Correct, reads: Callable[[str], bool]
) -> CorrectedLine | None:
    if sum(map(len, lines)) > MAX_LETTERS:
        return None
    for number in dict.fromkeys(line_numbers):
        if not 0 < number <= len(lines):
            continue
        for text, reason in correct(lines[number - 1]):
            is_changed = text != lines[number - 1]
            if is_changed and reads("\n".join([*lines[: number - 1], text, *lines[number:]])):
                return CorrectedLine(number, text, reason)
    return None


def _has_tab(line: str) -> bool:
    return "\t" in line[: len(line) - len(line.lstrip())]


def _replace_tabs(line: str) -> str:
    indent = len(line) - len(line.lstrip())
    return line[:indent].replace("\t", "  ") + line[indent:]


def _correct_yaml(line: str) -> Iterator[tuple[str, str]]:
    split_options = re.sub(rf"(--?[A-Za-z][\w-]*)\s+({PLACEHOLDER})", r'\1, "\2"', line)
    yield split_options, "A placeholder needs quotes in YAML, and each argument is an item of its own."
    yield UNQUOTED_WORD.sub(r'"\1"', line), "A placeholder needs quotes in YAML."
    yield from _close_quote(line)
    yield from _close_bracket(line)
    yield re.sub(r"^(\s*(?:- )?[A-Za-z_][\w-]*):(?=\S)", r"\1: ", line), "A colon needs a space behind it."
    if match := re.fullmatch(r"(\s*(?:- )?[A-Za-z_][\w-]*: )([^\"'\[{].*: .*)", line):
        yield f"{match[1]}{json.dumps(match[2].strip(), ensure_ascii=False)}", "A value with a colon needs quotes."
    special_word = re.sub(r"(?<=[\[,:\s-])([@%`][^\s,\]}]*)", r'"\1"', line)
    yield special_word, "A value that begins with @, % or ` needs quotes in YAML."


def _correct_toml(line: str) -> Iterator[tuple[str, str]]:
    yield from _close_quote(line)
    yield from _close_bracket(line)
    match = re.fullmatch(r"(\s*[\w.\"-]+\s*)([=:])\s*(.+?)\s*", line)
    if match:
        value = match[3].lower() if match[3] in ("True", "False") else match[3]
        value = value if PLAIN_TOML.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        reason = "A text needs quotes in TOML." if match[2] == "=" else "TOML has `=` between a name and its value."
        if value != match[3] and value in ("true", "false"):
            reason = "TOML writes true and false in small letters."
        yield f"{match[1].rstrip()} = {value}", reason


def _close_quote(line: str) -> Iterator[tuple[str, str]]:
    for quote in ('"', "'"):
        if line.count(quote) % 2:
            for ends in (r"[\]\s]*$", r"[\]}\s]*$"):  # what closes the list around it, perhaps also a mapping
                text = line[: len(line) - len("".join(re.findall(ends, line)))]
                yield f"{text}{quote}{line[len(text) :]}", "A quote is not closed."


def _close_bracket(line: str) -> Iterator[tuple[str, str]]:
    for opening, closing in BRACKETS.items():
        if line.count(opening) == line.count(closing) + 1:
            yield f"{line.rstrip()}{closing}", f"{opening} is not closed by {closing}."


def _reads_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
