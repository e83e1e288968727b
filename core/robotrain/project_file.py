"""robotrain.toml as text: its tables taken apart, each value as the text that a flag would have."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.nearest import offer
from robotrain.problem import Instead, Problem, Stage
from robotrain.project_place import NAME
from robotrain.provenance import Origin, Value
from robotrain.redaction import redact
from robotrain.tables import Table

TABLES = ("parameters", "workloads", "platforms")
WORDS = ("platform", "workload", "terraform")
OF_A_JOB = ("sources", "trainer_args")


class Level(NamedTuple):
    """What the top of the file says, or one profile. parameters are of any workload, workloads of the one named."""

    platform: Value | None = None
    workload: Value | None = None
    terraform: Value | None = None
    parameters: Mapping[str, Value] = {}
    workloads: Mapping[str, Mapping[str, Value]] = {}
    platforms: Mapping[str, Mapping[str, Value]] = {}


def read(path: Path) -> tuple[Level, dict[str, Level] | None, list[Problem]]:
    """The top of the file at `path`, its profiles by name (None where it cannot be read), and what is wrong with it."""
    reader = _Reader(os.path.relpath(path))
    body = reader.load(path)
    if body is None:
        return Level(), None, reader.problems
    profiles = reader.tables(body.pop("profiles", {}), "profiles")
    levels = {name: reader.level(table, f"profiles.{_key(name)}") for name, table in profiles.items()}
    return reader.level(body, ""), levels, reader.problems


class _Reader:
    """Takes the tables of one file apart, gathering problems. A value becomes the text a flag would have."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []

    def load(self, path: Path) -> dict[str, Any] | None:
        """The file's tables, None where it cannot be read."""
        import tomllib

        try:
            text = path.read_text(encoding="utf-8-sig")
            return tomllib.loads(text, parse_float=str)  # as written: 1e5 is no whole number here either
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            where, why = (f"{self.name}:{line[1]}" if line else self.name), redact(f"{error}.")
            self.problems.append(_problem("malformed", f"{NAME} is not TOML", where, why=why))
        except UnicodeDecodeError:
            self.problems.append(_problem("unreadable", f"{NAME} cannot be read", self.name, "It is not UTF-8 text."))
        except (RecursionError, ValueError):
            title = f"{NAME} is nested deeper, or has a number longer, than any settings"
            self.problems.append(_problem("malformed", title, self.name))
        except OSError as error:
            self.problems.append(_problem("unreadable", f"{NAME} cannot be read", self.name, f"{error.strerror}."))
        return None

    def level(self, body: Mapping[str, Any], at: str) -> Level:
        """The top, or the profile whose table is `at`."""
        for name in body:
            if name not in (*WORDS, *TABLES):
                self.unknown(name, at)
        before = f"{at}." if at else ""
        return Level(
            platform=self.word(body, "platform", at),
            workload=self.word(body, "workload", at),
            terraform=self.word(body, "terraform", at),
            parameters=self.values(body.get("parameters", {}), f"{before}parameters"),
            workloads=self.named(body.get("workloads"), f"{before}workloads"),
            platforms=self.named(body.get("platforms"), f"{before}platforms"),
        )

    def named(self, body: Any, at: str) -> dict[str, dict[str, Value]]:
        """A table of tables of values."""
        return {name: self.values(table, f"{at}.{_key(name)}") for name, table in self.tables(body, at).items()}

    def tables(self, body: Any, at: str) -> dict[str, dict[str, Any]]:
        """A table of tables; nothing where there is none."""
        found = {}
        for name, table in self.table({} if body is None else body, at).items():
            if isinstance(table, dict):
                found[name] = table
            else:
                self.wrong(at, f"{redact(name)} must be a table, [{at}.{_key(name)}]")
        return found

    def values(self, body: Any, at: str) -> dict[str, Value]:
        """A table of single values, as texts."""
        table = self.table(body, at)
        return {name: value for name in table if (value := self.value(table, name, at))}

    def table(self, body: Any, at: str) -> dict[str, Any]:
        if isinstance(body, dict):
            return body
        self.wrong("", f"{at} must be a table, [{at}]")
        return {}

    def word(self, body: Mapping[str, Any], name: str, at: str) -> Value | None:
        """The name of a platform or a workload, or Terraform's folder."""
        if isinstance(body.get(name, ""), str):
            return self.value(body, name, at)
        self.wrong(at, f"{name} must be a {'folder' if name == 'terraform' else 'name'} in quotes")
        return None

    def value(self, body: Mapping[str, Any], name: str, at: str) -> Value | None:
        """The text of one value; None for an empty one, which counts as unset, and for what is no single value."""
        value = body.get(name)
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        elif isinstance(value, dict):
            return Value(self.several(value, name, at), Origin(NAME, self.where(at)))
        elif value is not None and not isinstance(value, str):
            title = "must be one value" if isinstance(value, list) else "is a date, and needs quotes"
            self.wrong(at, f"{redact(name)} {title}")
            return None
        return Value(value, Origin(NAME, self.where(at))) if value else None

    def several(self, body: dict[str, Any], name: str, at: str) -> Table:
        """A table in a value's place, for settings that are one."""
        inner = f"{at}.{_key(name)}"
        refusal = _problem("wrong", f"{redact(name)} must be one value", self.where(at))
        entries = []
        for key, entry in body.items():
            if isinstance(entry, dict):
                self.wrong(inner, f"{redact(key)} must be one value")
            elif value := self.value(body, key, inner):
                entries.append((key, value))
        return Table(tuple(entries), refusal)

    def where(self, at: str) -> str:
        return f"{self.name} [{at}]" if at else self.name

    def wrong(self, at: str, title: str) -> None:
        self.problems.append(_problem("wrong", title, self.where(at)))

    def unknown(self, name: str, at: str) -> None:
        known = (*WORDS, *TABLES, *(() if at else ("profiles",)))
        why = f"Known: {', '.join(known)}."
        if name in OF_A_JOB:
            why = f"{name} belongs to a job, in a job file or on the command line; this file holds what jobs share."
        title = f"{NAME} has no key {redact(name)!r}"
        ways = () if name in OF_A_JOB else offer(name, known)
        self.problems.append(_problem("unknown-key", title, self.where(at), why, ways))


def _key(name: str) -> str:
    """A key as TOML writes it, fit to be shown."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{redact(name)}"'


def _problem(code: str, title: str, where: str, why: str = "", instead: tuple[Instead, ...] = ()) -> Problem:
    return Problem(code=f"project-file-{code}", stage=Stage.PARSE, title=title, where=where, why=why, instead=instead)
