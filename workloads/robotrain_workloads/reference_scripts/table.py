"""The table of the reference scripts, `scripts.toml`: their options, and what stands for each."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import tomllib

TABLE_FILE = Path(__file__).with_name("scripts.toml")
Entry = str | Mapping[str, str]


class ScriptOption(NamedTuple):
    """An option of a script, or a variable that it reads."""

    spellings: tuple[str, ...]
    metavar: str
    """What the value is; empty for a switch. At its end, `...`: the option repeats; `+`: it takes several words."""
    variables: tuple[str, ...]
    entry: Entry
    """What stands for it; the file tells the forms."""

    @property
    def name(self) -> str:
        """The first long spelling, or else the variable."""
        return next((one for one in self.spellings if one.startswith("--")), (*self.spellings, *self.variables)[0])


class ReferenceScript(NamedTuple):
    """A reference script."""

    name: str
    title: str
    was: tuple[str, ...] = ()
    """Its earlier names."""
    command: tuple[str, ...] = ()
    platform: str = ""
    options: tuple[ScriptOption, ...] = ()
    defaults: Mapping[str, str] = {}
    forwarded: tuple[ScriptOption, ...] = ()
    """Options of the platform's own command, which stand after `--`."""
    forwards_unknown: bool = False
    """Whether those may stand before `--` too."""
    needed: Mapping[str, str] = {}
    """Options of robotrain that the platform needs and the script does not have, each with the reason."""
    without: str = ""
    """Why robotrain has nothing in its place."""


@functools.cache
def load_scripts() -> Mapping[str, ReferenceScript]:
    """Return the scripts by name."""
    with TABLE_FILE.open("rb") as file:
        table = tomllib.load(file)
    found = {}
    for name, one in table["scripts"].items():
        groups = [table["groups"][group] for group in one.get("uses", ())]
        options = {option.name: option for group in groups for option in _read_options(group)}
        options |= {option.name: option for option in _read_options(one.get("options", {}))}
        found[name] = ReferenceScript(
            name=name,
            title=one["title"],
            was=tuple(one.get("was", ())),
            command=tuple(one.get("command", "").split()),
            platform=one.get("platform", ""),
            options=tuple(options.values()),
            defaults=one.get("defaults", {}),
            forwarded=tuple(_read_options(table["forwarded"].get(one.get("platform"), {}))),
            forwards_unknown=one.get("forwards_unknown", False),
            needed=table["needed"].get(one.get("platform"), {}),
            without=one.get("without", ""),
        )
    return found


def _read_options(entries: Mapping[str, Entry]) -> Iterator[ScriptOption]:
    for key, entry in entries.items():
        words, _, variables = key.partition("[")
        spellings = tuple(word for word in words.split() if word.startswith("-"))
        metavar = next((word for word in words.split() if not word.startswith("-")), "")
        yield ScriptOption(spellings, metavar, tuple(re.findall(r"\w+", variables)), entry)
