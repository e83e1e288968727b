"""The job as text: block YAML, one value a line, that reads the same in whatever reads YAML, and to people.

Only ASCII. Every text that could be read as something else is in quotes, and those of the environment always are. To
import a YAML library would take longer than all the rest of a render, and its writer would have to be taught as much.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

QUOTED = "environment_variables"
"""What is below this key is text, whatever it looks like."""
TEMPLATE = "${{"
_PLAIN = r"[A-Za-z$](?:[\w./@+=-]|:(?=[\w/])| (?=[\w/]))*"
_READ = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_LONGEST = 1000
"""Characters of a key. Readers of YAML stop looking for the end of one after 1024."""


class TemplateError(ValueError):
    """A job that Azure ML would read as another one. `check` refuses every value that does this."""


def dump(job: Mapping[str, Any]) -> str:
    """The text of a job: mappings of texts and whole numbers. Raises TemplateError."""
    return "".join(f"{line}\n" for line in _lines(job, "", False))


def _lines(values: Mapping[str, Any], indent: str, quoted: bool) -> Iterator[str]:
    for name, value in values.items():
        key = f"{indent}{_text(name, False)}:"
        if len(key) > _LONGEST:
            raise TemplateError("a name of the job is too long for one line")
        if isinstance(value, Mapping):
            yield key
            yield from _lines(value, f"{indent}  ", quoted or name == QUOTED)
        else:
            yield f"{key} {_text(value, quoted) if isinstance(value, str) else int(value)}"


def _text(text: str, quoted: bool) -> str:
    if TEMPLATE in text:
        raise TemplateError(f"a value of the job holds {TEMPLATE}")
    if not quoted and re.fullmatch(_PLAIN, text, re.ASCII) and text.lower() not in _READ:
        return text
    if text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + re.sub(r"[^ !#-\[\]-~]", _escaped, text) + '"'


def _escaped(found: re.Match[str]) -> str:
    if found[0] in '"\\':
        return "\\" + found[0]
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
