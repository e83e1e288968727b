"""robotrain.toml: values for all jobs of a project, at its top level and in profiles."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import tomllib

from robotrain.config.values import Layer, Origin, Value, prefix_names, read_limited
from robotrain.errors import Problem, Severity
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.store.files import PROJECT_FILE, find_project_file

make_problem = Messages(__file__)

TABLE_KEYS = ("parameters", "workloads", "platforms")
WORD_KEYS = ("platform", "workload", "terraform")


def load_toml(path: Path, place: str, severity: Severity = "error") -> dict[str, Any] | Problem:
    """Return the content of a TOML file, its digits as they are written, or why it cannot be read."""
    try:
        return tomllib.loads(read_limited(path), parse_float=Decimal)
    except OSError as error:
        reason = f"{error.strerror}."
        return make_problem("file-unreadable", where=place, what=path.name, why=reason, severity=severity)
    except (RecursionError, ValueError) as error:
        line_match = re.search(r"line (\d+)", str(error))
        where = f"{place}:{line_match[1]}" if line_match else place
        reason = redact(f"{error}.")
        return make_problem("file-malformed", where=where, what=path.name, form="TOML", why=reason, severity=severity)


class ProjectLevel(NamedTuple):
    """The values of the top level or of a profile; `parameters` are for any workload, `workloads` by workload."""

    words: Mapping[str, Value] = {}
    """By WORD_KEYS."""
    parameters: Mapping[str, Value] = {}
    workloads: Mapping[str, Mapping[str, Value]] = {}
    platforms: Mapping[str, Mapping[str, Value]] = {}


class _ProjectReader:
    """Reader of one file, which collects problems."""

    def __init__(self, path: Path) -> None:
        self.name, self.folder = os.path.relpath(path), path.parent
        self.problems: list[Problem] = []

    def read_level(self, body: Any, table_path: str) -> ProjectLevel:
        """Return the top level, or the profile whose table is `table_path`."""
        body = self.read_table(body, table_path)
        place, start = self.format_place(table_path), f"{table_path}." if table_path else ""
        keys = (*WORD_KEYS, *TABLE_KEYS, *(() if table_path else ("profiles",)))
        for name in body:
            if name not in (*WORD_KEYS, *TABLE_KEYS):
                facts: dict[str, Any] = {"what": PROJECT_FILE, "name": redact(name), "known": ", ".join(keys)}
                self.problems.append(make_problem("file-unknown-key", *suggest_name(name, keys), where=place, **facts))
        words = self.read_values({name: body[name] for name in WORD_KEYS if name in body}, table_path)
        for name, value in words.items():
            if not isinstance(value.value, str):
                self.add_problem(table_path, f"{name} must be a text in quotes")
        workloads, platforms = (
            {
                name: self.read_values(values, f"{start}{table}.{_format_key(name)}")
                for name, values in self.read_table(body.get(table, {}), f"{start}{table}").items()
            }
            for table in ("workloads", "platforms")
        )
        parameters = self.read_values(body.get("parameters", {}), f"{start}parameters")
        return ProjectLevel(
            {name: value for name, value in words.items() if isinstance(value.value, str)},
            parameters,
            workloads,
            platforms,
        )

    def read_values(self, body: Any, table_path: str) -> dict[str, Value]:
        """Return a table of values with their place; an empty text is none."""
        origin = Origin(PROJECT_FILE, self.format_place(table_path))
        table = self.read_table(body, table_path)
        return {name: Value(value, origin, base=self.folder) for name, value in table.items() if value != ""}

    def read_table(self, body: Any, table_path: str) -> dict[str, Any]:
        """Return a table; an empty one in place of anything else."""
        if isinstance(body, dict):
            return body
        self.add_problem("", f"{table_path} must be a table, [{table_path}]")
        return {}

    def format_place(self, table_path: str) -> str:
        """Return the place of a table."""
        return f"{self.name} [{table_path}]" if table_path else self.name

    def add_problem(self, table_path: str, title: str) -> None:
        """Report what is wrong with a table."""
        self.problems.append(make_problem("file-wrong", where=self.format_place(table_path), title=title))


def _format_key(name: str) -> str:
    """Return a key as TOML writes it, redacted."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{redact(name)}"'


class Project(NamedTuple):
    """A project file with a chosen profile."""

    folder: Path
    """The folder that relative paths start from."""
    levels: tuple[ProjectLevel, ...] = ()
    """The profile, then the top level."""
    profiles: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def find(self, word: str) -> Value | None:
        """Return the chosen platform or workload, or the folder of the Terraform state, by WORD_KEYS."""
        return next((level.words[word] for level in self.levels if word in level.words), None)

    def list_layers(self, workload: str, platform: str) -> Iterator[Layer]:
        """Yield what the project says for a workload and a platform, the strongest first."""
        for level in self.levels:
            values = prefix_names("parameters", level.workloads.get(workload, {}))
            values |= prefix_names(f"platforms.{platform}", level.platforms.get(platform, {}))
            yield Layer(values)
            yield Layer(prefix_names("parameters", level.parameters), is_shared=True)


def load_project(folder: Path, profile: Value | None = None) -> Project | None:
    """Return the project of a working folder with a profile; None without a project file and a profile."""
    path = find_project_file(folder)
    if path is None:
        reason = f"Neither this folder nor its parents have a {PROJECT_FILE}."
        return Project(folder, problems=(_make_unknown_profile_problem(profile, reason),)) if profile else None
    reader = _ProjectReader(path)
    body = load_toml(path, reader.name)
    if isinstance(body, Problem):
        return Project(path.parent, (ProjectLevel(),), problems=(body,))
    tables = reader.read_table(body.pop("profiles", {}), "profiles")
    profiles = {name: reader.read_level(table, f"profiles.{_format_key(name)}") for name, table in tables.items()}
    levels = [reader.read_level(body, "")]
    if profile and profile.value in profiles:
        levels.insert(0, profiles[profile.value])
    elif profile:
        reason = f"Profiles of {PROJECT_FILE}: {', '.join(map(redact, profiles)) or 'none'}."
        reader.problems.append(_make_unknown_profile_problem(profile, reason, profiles))
    return Project(path.parent, tuple(levels), tuple(profiles), tuple(reader.problems))


def _make_unknown_profile_problem(profile: Value, reason: str, profiles: Iterable[str] = ()) -> Problem:
    name = str(profile.value)
    ways = suggest_name(name, profiles, prefix="--profile ")
    return make_problem("profile-unknown", *ways, where=profile.origin.where, value=redact(name), why=reason)
