"""Messages: the sentences of problems stand in `messages.toml` beside the code that reports them; the code gives facts.

A table `[code]` or `[code.variant]` is a message: its `title`, a sentence without a period; `why`, a list of sentences;
`ways`, what the user can do, each a text and perhaps a remark; and `where`, `stage` and `severity`, unless the caller
gives them or the top of the file does for all. `{name}` is a fact; a sentence or a way is left out if one of its facts
is absent or None. A `[code]` without a title has what its variants share. In the text of a way, a fact is one word of
the command line, quoted as a shell needs it, unless it is `{name:words}`: several words, an option or a placeholder.
A module has the messages of its own folder's file, of those above it in its package, and of core.
`question` is what a person is asked on a terminal, where a yes is enough.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Severity, Stage, Suggestion
from robotrain.redaction import redact

FILE = "messages.toml"
CORE = os.path.dirname(__file__)
Table = Mapping[str, Any]


class Messages:
    """The messages of a module, `make_problem = Messages(__file__)`: called with one's name to report a problem."""

    def __init__(self, file: str) -> None:
        self._folder = os.path.dirname(os.path.abspath(file))

    def __call__(
        self,
        message: str,
        /,
        *ways: Suggestion | str,
        where: str = "",
        given: str = "",
        stage: Stage | None = None,
        severity: Severity | None = None,
        absent: tuple[str, ...] = (),
        address: str = "",
        transient: bool = False,
        **facts: object,
    ) -> Problem:
        """Return a problem.

        :param message: `CODE`, or `CODE.VARIANT`.
        :param ways: what the user can do, before the ways of the table; an empty one is left out.
        :param given: redacted here.
        :param address: that of the source that the problem is about, if `given` says more than that.
        """
        table = find_message(self._folder, message)
        message_facts = _Facts({"given": given, **facts})
        message_facts["where"] = where = where or table.get("where", "").format_map(message_facts)
        given_ways = tuple(Suggestion(way) if isinstance(way, str) else way for way in ways if way)
        return Problem(
            code=message,
            stage=Stage[table["stage"].upper()] if stage is None else stage,
            title=table["title"].format_map(message_facts),
            where=where,
            given=redact(given),
            why=" ".join(filter(None, map(message_facts.fill_in, table.get("why", ())))),
            suggestions=(*given_ways, *message_facts.list_ways(table)),
            severity=severity or table.get("severity", "error"),
            absent=absent,
            source=address,
            transient=transient or table.get("transient", False),
            question=table.get("question", ""),
        )


class _Facts(dict[str, object]):
    """Facts by name; one that the code does not give is shown as `…`."""

    def __missing__(self, name: str) -> object:
        return "…"

    def fill_in(self, text: str) -> str:
        """Return a text with its facts; empty if one of them is absent or None."""
        names = re.findall(r"(?<!\{)\{(\w+)", text)
        return "" if any(self.get(name) is None for name in names) else text.format_map(self)

    def list_ways(self, table: Table) -> Iterator[Suggestion]:
        """Yield the ways of a message, without those of which a fact is absent or None."""
        words = _Facts({name: _Word(fact) if isinstance(fact, str | Path) else fact for name, fact in self.items()})
        for text, *remark in table.get("ways", ()):
            if all(filled_texts := [words.fill_in(text), *map(self.fill_in, remark)]):
                yield Suggestion(*filled_texts)


class _Word(str):
    """A fact as a word of a command line, or as `{name:words}`."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self) if spec == "words" else shlex.quote(self)


def find_message(folder: str, message: str) -> Table:
    """Return the table of a message, as the file of a folder, of its parents or of core has it.

    Raise LookupError if none has.
    """
    code, _, variant = message.partition(".")
    for package_folder in _list_places(folder):
        tables = _read_tables(package_folder)
        table = tables.get(code, {})
        base = _list_texts(table)
        texts = _list_texts(table.get(variant, {})) if variant else base
        if "title" in texts:
            return {**_list_texts(tables), **({} if "title" in base else base), **texts}
    raise LookupError(f"no {FILE} from {folder} upwards has the message {message}")


def _list_texts(table: Table) -> Table:
    """Return what a table has beside tables of its own."""
    return {key: value for key, value in table.items() if not isinstance(value, Mapping)}


def _list_places(folder: str) -> Iterator[str]:
    """Yield the folders whose files may have a message, the nearest first."""
    while os.path.exists(os.path.join(folder, "__init__.py")):
        yield folder
        folder = os.path.dirname(folder)
    yield CORE


@cache
def _read_tables(folder: str) -> Table:
    import tomllib  # costs start-up

    file = Path(folder, FILE)
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
