"""What the text of an option of LeRobot means: a word of YAML 1.1, or such words in brackets, then its kind decides.

LeRobot's parser does both: https://github.com/dlwh/draccus. Rarer YAML is left to LeRobot. Standard library only: where
a job starts, YAML comes with its environment.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

NULLS = ("null", "Null", "NULL", "~")
BOOLEANS = {
    spelling: word in ("true", "yes", "on")
    for word in ("true", "yes", "on", "false", "no", "off")
    for spelling in (word, word.title(), word.upper())
}
INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
FLOAT = re.compile(r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?")
INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
RARE = re.compile(
    r"[\]},].*|[-+]?0[0-9a-zA-Z_]+|[-+]?[1-9][0-9_]*:[0-9].*|[-+]?0[0-9_]*(?::[0-9]+)+\..*|[0-9]{4}-.*|[-?:=<](?:\s.*|<)?|[#&*!|>%@`].*|.*\s#.*|.*:(?:\s.*)?"
)
"""Words that mean more in YAML: other bases, times, comments, references, mappings."""
IN_BRACKETS = re.compile(r""""[^"\\]*"|'[^']*'|[^\s,\[\]{}:'"](?:[^,\[\]{}:'"]*[^\s,\[\]{}:'"])?""")


class UnreadValue(Exception):
    """A text that only LeRobot can read: it has more of YAML than this module knows."""


class RefusedValue(ValueError):
    """A text that LeRobot does not take for an option of this kind."""


def read_value(text: str, kind: Any = "any", *, as_json: bool = False) -> Any:
    """Return what LeRobot makes of a text for an option.

    :param kind: as `options.json` has it: `int`, `{"each": "text"}`, `{"any of": ["bool", "null"]}`.
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
    """Return whether the text of an option of the kind bool means true: `true`, `yes`, `On`; None is no text."""
    return text is not None and read_known(text, "bool") is True


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_yaml(text: str) -> Any:
    """Return the value of a text without the kind of its option. Raise UnreadValue."""
    words = text.strip()
    if not words.startswith(("[", "{")):
        return _read_word(words) if words else None if text else ""
    try:
        return _read_words(json.loads(IN_BRACKETS.sub(lambda match: json.dumps(match[0]), words)))
    except ValueError:
        raise UnreadValue(text) from None


def _read_words(value: Any) -> Any:
    """Return a list or a mapping of words with what they mean."""
    if isinstance(value, list):
        return [_read_words(item) for item in value]
    if isinstance(value, dict):
        return {_read_word(name): _read_words(item) for name, item in value.items()}
    return _read_word(value)


def _read_word(word: str) -> Any:
    """Return the value of one word, as YAML 1.1 has it."""
    if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"":
        if word[0] in word[1:-1] or "\\" in word:
            raise UnreadValue(word)
        return word[1:-1]
    if word in NULLS:
        return None
    if word in BOOLEANS:
        return BOOLEANS[word]
    if INT.fullmatch(word):
        return int(word.replace("_", ""))
    if FLOAT.fullmatch(word):
        return float(word.replace("_", ""))
    if INFINITE.fullmatch(word):
        return float(word.lower().replace(".", ""))
    if RARE.fullmatch(word) or not word.isprintable() or word[0] in "'\"" or word.startswith(("include", "...")):
        raise UnreadValue(word)
    return word


def convert(value: Any, kind: Any) -> Any:
    """Return a value of YAML or JSON as an option of a kind has it: a whole number as 1.0 for `number`.

    :raises RefusedValue: LeRobot does not take it.
    """
    if isinstance(kind, Mapping):
        return _convert_structure(value, kind)
    if value is None or kind == "any":  # draccus takes null for every plain kind
        return value
    try:
        return _convert_scalar(value, kind)
    except (TypeError, ValueError):
        raise RefusedValue(str(value)) from None


def _convert_scalar(value: Any, kind: str) -> Any:
    if kind == "text":
        return str(value)
    if kind == "number":
        return float(value)
    if kind == "int" and not isinstance(value, float):
        return int(value)
    if kind == "bool" and (isinstance(value, bool) or value in ("true", "false")):
        return value in (True, "true")
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
    else:
        if "items" in kind and isinstance(value, str):  # draccus makes a tuple of its characters
            value = [*value]
        kinds = kind.get("items") or ([kind["each"]] * len(value) if isinstance(value, list) else [])
        if isinstance(value, list) and len(value) == len(kinds):
            return [convert(item, item_kind) for item, item_kind in zip(value, kinds, strict=True)]
    raise RefusedValue(str(value))
