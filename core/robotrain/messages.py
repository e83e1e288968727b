"""Messages: the sentences of problems stand in `messages.toml` beside the code that reports them; the code gives facts.

A table `[code]` or `[code.variant]` is a message: its `title`, a sentence without a period; `why`, a list of sentences;
`ways`, what the user can do, each a text and perhaps a remark; and `where`, `stage` and `severity`, unless the caller
gives them or the top of the file does for all. `{name}` is a fact; a sentence or a way is left out if one of its facts
is absent or None. A `[code]` without a title has what its variants share. In the text of a way, a fact is one word of
the command line, quoted as a shell needs it, unless it is `{name:words}`: several words, an option or a placeholder.
`question` is what a person is asked on a terminal, where a yes is enough.
"""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
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
            why=" ".join(message_facts.fill_in(table.get("why", ()))),
            suggestions=(*given_ways, *message_facts.fill_in_ways(table.get("ways", ()))),
            severity=severity or table.get("severity", "error"),
            absent=absent,
            source=address,
            transient=transient or table.get("transient", False),
            question=table.get("question", ""),
        )


class _Facts(dict[str, object]):
    """Facts as texts show them; one that the code does not give is shown as `…`."""

    def __getitem__(self, name: str) -> object:
        value = self.get(name, "…")
        return _Count(value) if isinstance(value, int) else _Text(value) if isinstance(value, str | Path) else value

    def fill_in(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield texts with their facts, without those of which a fact is absent or None, and empty ones."""
        for text in texts:
            is_known = all(self.get(name) is not None for name in re.findall(r"(?<!\{)\{(\w+)", text))
            if is_known and (filled_text := text.format_map(self)):
                yield filled_text

    def fill_in_ways(self, ways: Iterable[Sequence[str]]) -> Iterator[Suggestion]:
        """Yield ways as `fill_in` yields texts."""
        words = _Words(self)
        for text, *remark in ways:
            if len(filled_texts := [*words.fill_in([text]), *self.fill_in(remark)]) == 1 + len(remark):
                yield Suggestion(*filled_texts)


class _Words(_Facts):
    """Facts as words of a command line."""

    def __getitem__(self, name: str) -> object:
        fact = super().__getitem__(name)
        return _Word(fact) if isinstance(fact, _Text) else fact


class _Count(int):
    """A number, of which `{gpus:# GPU|# GPUs}` says how many in words."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if "|" not in spec:
            return format(int(self), spec)
        return spec.split("|")[self != 1].replace("#", str(int(self)))


class _Text(str):
    """A text, which `{reason:capital}` begins with a capital letter."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return f"{self[:1].upper()}{self[1:]}" if spec == "capital" else format(str(self), spec)


class _Word(_Text):
    """A text that is a word of a command line."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self) if spec == "words" else shlex.quote(self)


def find_message(folder: str, message: str) -> Table:
    """Return the table of a message, as the file of a folder, of its parents, of an included package or of core has it.

    Raise LookupError if none has.
    """
    code, _, variant = message.partition(".")
    for package_folder in _list_places(folder):
        if table := read_tables(package_folder, code).get(code):
            base = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
            variant_table = table.get(variant) if variant else base
            if variant_table and "title" in variant_table:
                return {**_read_defaults(package_folder), **({} if "title" in base else base), **variant_table}
    raise LookupError(f"no {FILE} from {folder} upwards has the message {message}")


def _list_places(folder: str) -> Iterator[str]:
    """Yield the folders whose files may have a message, the nearest first."""
    package_folder = folder
    while True:
        yield package_folder
        if not os.path.exists(os.path.join(parent := os.path.dirname(package_folder), "__init__.py")):
            break
        package_folder = parent
    for package in _read_defaults(package_folder).get("include", ()):
        spec = find_spec(package)
        yield from spec.submodule_search_locations or () if spec else ()
    yield CORE


@cache
def _read_text(folder: str) -> str:
    try:
        return Path(folder, FILE).read_text(encoding="utf-8")
    except OSError:
        return ""


def _read_defaults(folder: str) -> Table:
    """Return what stands before the tables of a folder's file."""
    return _parse(folder, _read_text(folder).partition("\n[")[0])


@cache
def read_tables(folder: str, code: str) -> Table:
    """Return the tables of a code in a folder's file, by code; the rest of the file is not parsed, which is quicker."""
    table_texts = re.findall(rf"(?m)^\[{code}(?:\.[\w-]+)?\]\n(?:[^\[\n].*\n|\n)*", _read_text(folder))
    return _parse(folder, "".join(table_texts))


def _parse(folder: str, text: str) -> Table:
    if not text:
        return {}
    import tomllib  # costs start-up

    return tomllib.loads(text)
