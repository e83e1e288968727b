"""Options of other tools for commands that look at runs: what foreign_options.toml answers them with."""

import functools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import tomllib

from robotrain.cli.command_factory import read_typed_line
from robotrain.errors import Suggestion, suggest_leaving_out
from robotrain.redaction import can_repeat
from robotrain.store.latest_run import UNFINISHED, iterate_runs_with

EVERY_COMMAND = "every"
"""The table of options that are answered alike by every command."""
MAX_RUNS = 8
"""How many runs that have not ended a line names, the newest ones."""
PLACEHOLDER = re.compile(r"\b(?:LINE|ARGS|VALUE|UNFINISHED)\b")


@functools.cache
def _read_tables() -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of foreign_options.toml."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def find_way_of_command(flag: str, value: str, context: Any) -> tuple[str, list[Suggestion]] | None:
    """Return the sentence about an option that other tools have for this command, and what to type instead.

    None for an unknown one.

    :param value: what was typed behind the option, quoted; empty if that is nothing, or must not be repeated.
    """
    return _find_way(context.command.name, flag, value, context)


def find_way_of_every_command(flag: str, value: str, context: Any) -> tuple[str, list[Suggestion]] | None:
    """Return the same for an option that other tools have for every command."""
    return _find_way(EVERY_COMMAND, flag, value, context)


def _find_way(table_name: str, flag: str, value: str, context: Any) -> tuple[str, list[Suggestion]] | None:
    rows = {name: row for names, row in _read_tables().get(table_name, {}).items() for name in names.split()}
    name = flag.replace("_", "-")
    counted_row = rows.get(f"{name}=N") if value.isdecimal() else None
    row = rows.get(f"{name}={value}") or counted_row or rows.get(name)
    if row is None:
        return None
    spellings = {spelling for param in context.command.params for spelling in param.opts}
    ways = list[Suggestion]()
    line = read_typed_line(context)
    for text in row.get("ways", ()):
        is_option = text.startswith("--")
        if is_option and text.split()[0] in spellings:
            ways.append(Suggestion(text, replaces=flag))
        elif not is_option:
            takes_value = row.get("has_value", False) or "VALUE" in text
            words = [*_leave_out(line, flag, takes_value=takes_value)]
            ways += _fill_in_line(text, words, value, len(context.command_path.split()) - 1)
    if row.get("needless"):
        ways.append(suggest_leaving_out(flag))
    reason = row.get("why", "")
    return (reason, ways) if reason or ways else None


def _fill_in_line(text: str, words: Sequence[str], value: str, command_length: int) -> Iterator[Suggestion]:
    """Yield a whole line with what was typed; none if that may hold a secret.

    :param words: what was typed after `robotrain`, without the option.
    :param command_length: how many of them are the command.
    """
    if not can_repeat(" ".join(words)):
        return
    is_plain = value.isidentifier() or "'" not in text
    texts = {
        "LINE": shlex.join(["robotrain", *words]),
        "ARGS": shlex.join(words[command_length:]),
        "VALUE": value if value and is_plain else "VALUE",
        "UNFINISHED": " ".join(islice(iterate_runs_with(UNFINISHED), MAX_RUNS)) or "RUN RUN",
    }
    if "--json" in words:  # it is typed already
        text = text.replace(" --json", "")
    filled_text = PLACEHOLDER.sub(lambda match: texts[match[0]], text)
    yield Suggestion(" ".join(filled_text.split()))


def _leave_out(line: Sequence[str], flag: str, *, takes_value: bool) -> Iterator[str]:
    """Yield the words of a line without an option and its value."""
    is_value = False
    for word in line:
        name, equals, _ = word.partition("=")
        if name == flag:
            is_value = takes_value and not equals
        elif not is_value or word.startswith("-"):
            yield word
            is_value = False
        else:
            is_value = False
