"""YAML of a rendered spec, in ASCII. Ambiguous text is quoted: readers differ in what they take for a number or a date.

Importing a YAML library would take longer than the whole rendering.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

_PLAIN_TEXT = r"[A-Za-z$](?:[\w./@+=-]|:(?=[\w/])| (?=[\w/]))*"
_RESERVED_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_MAX_KEY_LENGTH = 1000
"""YAML readers support keys of up to 1024 characters."""


class YamlWriter(NamedTuple):
    """Writes nested mappings of texts, numbers, truth values and lists of those."""

    quoted_key: str
    """Texts below this key are always quoted."""
    check_text: Callable[[str], object]
    """Called for each text and each key; raises ValueError for one that must not be written."""

    def dump(self, values: Mapping[str, Any]) -> str:
        """Return the YAML of a mapping. Raise ValueError for a key that is too long, or what `check_text` raises."""
        return "".join(f"{line}\n" for line in self._format_lines(values, "", False))

    def _format_lines(self, values: Mapping[str, Any], indent: str, quoted: bool) -> Iterator[str]:
        for name, value in values.items():
            key = f"{indent}{self._format_scalar(name, False)}:"
            if len(key) > _MAX_KEY_LENGTH:
                raise ValueError("a name is too long for one line")
            if isinstance(value, Mapping):
                yield key
                yield from self._format_lines(value, f"{indent}  ", quoted or name == self.quoted_key)
            elif isinstance(value, list):
                yield f"{key} [{', '.join(self._format_scalar(one, quoted) for one in value)}]"
            else:
                yield f"{key} {self._format_scalar(value, quoted)}"

    def _format_scalar(self, value: Any, quoted: bool) -> str:
        if isinstance(value, str):
            self.check_text(value)
            return _format_text(value, quoted)
        if isinstance(value, float):
            mantissa, e, exponent = repr(value).partition("e")
            point = ".0" if e and "." not in mantissa else ""  # YAML 1.1 needs it
            return f"{mantissa}{point}{e}{exponent}"
        return str(value).lower() if isinstance(value, bool) else str(int(value))


def _format_text(text: str, quoted: bool) -> str:
    if not quoted and re.fullmatch(_PLAIN_TEXT, text, re.ASCII) and text.lower() not in _RESERVED_WORDS:
        return text
    if text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + re.sub(r"[^ !#-\[\]-~]", _escape_character, text) + '"'


def _escape_character(match: re.Match[str]) -> str:
    if match[0] in '"\\':
        return "\\" + match[0]
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
