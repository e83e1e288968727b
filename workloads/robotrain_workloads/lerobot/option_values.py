"""What the text of an option of LeRobot means: YAML 1.1 as PyYAML reads it, then the type of the option decides.

LeRobot's parser does both: https://github.com/dlwh/draccus, `cfgparsing.parse_string` and `parsers/decoding.py`. What a
text means to robotrain it means by this module, and a table of texts and types holds it to draccus. Standard library
only: where a job starts, YAML comes with its environment.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

NULLS = ("null", "Null", "NULL", "~", "")
BOOLEANS = {
    spelling: value
    for words, value in ((("yes", "true", "on"), True), (("no", "false", "off"), False))
    for word in words
    for spelling in (word, word.title(), word.upper())
}
INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)")
FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
RARE_WORD = re.compile(
    r"=|<<|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[Tt ].*"
)
"""Words with a meaning that no option has: numbers to the base 60, times."""
BLANK = re.compile(r"\s*(?:#.*)?")
QUOTED = re.compile(r"""'((?:[^']|'')*)'|"([^"\\]*)\"""")
PLAIN = re.compile(r"""(?![-?:](?:\s|$))[^\s,\[\]{}#&*!|>'"%@`](?:(?!\s+#|\s*:(?:\s|$)|\s+$).)*""")
PLAIN_IN_BRACKETS = re.compile(
    r"""(?![-?:](?:[\s,\[\]{}]|$))[^\s,\[\]{}#&*!|>'"%@`](?:(?!\s+#|\s*:(?:[\s,\[\]{}]|$)|\s*[,\[\]{}?]|\s+$).)*"""
)


class UnreadValue(Exception):
    """A text that only LeRobot can read: it has more of YAML than this module knows."""


class RefusedValue(ValueError):
    """A text that LeRobot does not take for an option of this type."""


def read_value(text: str, kind: Any = "any", *, as_json: bool = False) -> Any:
    """Return what LeRobot makes of a text for an option.

    :param kind: the type as `options.json` has it: `int`, `{"each": "text"}`, `{"any of": ["bool", "null"]}`.
    :param as_json: whether LeRobot reads it beside a saved configuration: as JSON, and as text what is none.
    :raises RefusedValue: LeRobot refuses it.
    :raises UnreadValue: only LeRobot knows.
    """
    return convert(_read_json(text) if as_json else read_yaml(text), kind)


def read_known(text: str, kind: Any = "any", *, as_json: bool = False) -> Any:
    """Return what LeRobot makes of a text; the text itself where it refuses it, or where only LeRobot knows."""
    try:
        return read_value(text, kind, as_json=as_json)
    except (RefusedValue, UnreadValue):
        return text


def is_true(text: str | None) -> bool:
    """Return whether the text of an option of the type bool means true: `true`, `yes`, `On`; None is no text."""
    return text is not None and read_known(text, "bool") is True


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_yaml(text: str) -> Any:
    """Return the value of a text without the type of its option. Raise as `read_value` does."""
    if text == "":  # YAML's null is draccus' empty text
        return ""
    if not text.isprintable() or text.startswith(("include", "---", "...")):
        raise UnreadValue(text)
    return _YamlReader(text).read()


class _YamlReader:
    """Reads one line of YAML: a scalar, a list in brackets or a mapping in braces."""

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0

    def read(self) -> Any:
        value = self._read_node(PLAIN)
        if next_character := self._peek():
            raise UnreadValue(self.text) if next_character == ":" else RefusedValue(self.text)
        return value

    def _peek(self) -> str:
        """Return the next character that is neither blank nor of a comment; empty at the end."""
        self._match(BLANK)
        return self.text[self.position : self.position + 1]

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise UnreadValue(self.text)
        self.position = match.end()
        return match

    def _read_node(self, plain_pattern: re.Pattern[str]) -> Any:
        start = self._peek()
        if start == "":
            return None
        if start == "[":
            return [*self._read_items()]
        if start == "{":
            return dict(self._read_pairs())
        if start in "'\"":
            quoted_match = self._match(QUOTED)
            return quoted_match[2] if quoted_match[1] is None else quoted_match[1].replace("''", "'")
        return resolve_word(self._match(plain_pattern)[0])

    def _read_items(self) -> Iterator[Any]:
        self.position += 1
        while self._peek() != "]":
            yield self._read_node(PLAIN_IN_BRACKETS)
            self._end_item("]")
        self.position += 1

    def _read_pairs(self) -> Iterator[tuple[Any, Any]]:
        self.position += 1
        while self._peek() != "}":
            key, value = self._read_node(PLAIN_IN_BRACKETS), None
            if self._peek() == ":":
                self.position += 1
                value = None if self._peek() in (",", "}") else self._read_node(PLAIN_IN_BRACKETS)
            if not isinstance(key, str | int | float | None):
                raise UnreadValue(self.text)
            yield key, value
            self._end_item("}")
        self.position += 1

    def _end_item(self, closing_bracket: str) -> None:
        next_character = self._peek()
        if next_character == ",":
            self.position += 1
        elif next_character == "":
            raise RefusedValue(self.text)
        elif next_character != closing_bracket:
            raise UnreadValue(self.text)


def resolve_word(word: str) -> Any:
    """Return the value of a word without quotes, as YAML 1.1 has it."""
    if word in NULLS:
        return None
    if word in BOOLEANS:
        return BOOLEANS[word]
    digits = word.replace("_", "")
    if INT.fullmatch(word):
        bare = digits.lstrip("+-")
        base = {"0b": 2, "0x": 16}.get(bare[:2], 8 if bare.startswith("0") else 10)
        return int(bare.removeprefix("0b").removeprefix("0x"), base) * (-1 if digits.startswith("-") else 1)
    if FLOAT.fullmatch(word):
        return float(re.sub(r"\.(?=inf|nan)", "", digits.lower()))
    if RARE_WORD.fullmatch(word):
        raise UnreadValue(word)
    return word


def convert(value: Any, kind: Any) -> Any:
    """Return a value of YAML or JSON as an option of a type has it: a whole number as 1.0 for `number`.

    :raises RefusedValue: LeRobot does not take it.
    """
    if isinstance(kind, Mapping):
        return _convert_structure(value, kind)
    if value is None or kind == "any":  # draccus takes null for every plain type
        return value
    try:
        return _convert_scalar(value, kind)
    except (TypeError, ValueError):
        raise RefusedValue(str(value)) from None


def _convert_scalar(value: Any, kind: str) -> Any:
    if kind == "bool":
        if value in (True, False, "true", "false") and isinstance(value, bool | str):
            return value in (True, "true")
    elif kind == "int":
        if not isinstance(value, float):
            return int(value)
    elif kind == "number":
        return float(value)
    elif kind == "text":
        return str(value)
    raise RefusedValue(str(value))


def _convert_structure(value: Any, kind: Mapping[str, Any]) -> Any:
    if "any of" in kind:
        if value is None and "null" in kind["any of"]:
            return None
        for alternative in kind["any of"]:
            with suppress(RefusedValue):
                return convert(value, alternative)
    elif "one of" in kind:
        if isinstance(value, str) and value in kind["one of"]:
            return value
    elif "each" in kind or "items" in kind:
        if "items" in kind and isinstance(value, str):  # draccus makes a tuple of its characters
            value = [*value]
        kinds = kind.get("items") or ([kind["each"]] * len(value) if isinstance(value, list) else [])
        if isinstance(value, list) and len(value) == len(kinds):
            return [convert(item, item_kind) for item, item_kind in zip(value, kinds, strict=True)]
    elif isinstance(value, Mapping):  # options below it
        return value
    raise RefusedValue(str(value))
