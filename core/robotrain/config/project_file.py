"""robotrain.toml: values for all jobs of a project, at its top level and in profiles."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import tomllib

from robotrain.config.values import MAX_KEYS, Layer, Origin, Value, prefix_names, read_limited
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.store.files import PROJECT_FILE, find_project_file

make_problem = Messages(__file__)

TABLE_KEYS = ("parameters", "workloads", "platforms")
WORD_KEYS = ("platform", "workload", "terraform")


class ProjectLevel(NamedTuple):
    """The values of the top level or of a profile; `parameters` are for any workload, `workloads` by workload."""

    platform: Value | None = None
    workload: Value | None = None
    terraform: Value | None = None
    parameters: Mapping[str, Value] = {}
    workloads: Mapping[str, Mapping[str, Value]] = {}
    platforms: Mapping[str, Mapping[str, Value]] = {}


class _ProjectReader:
    """Reader of one file, which collects problems."""

    def __init__(self, path: Path) -> None:
        self.name, self.folder = os.path.relpath(path), path.parent
        self.problems: list[Problem] = []

    def load_file(self, path: Path) -> dict[str, Any] | None:
        """Return the file's tables; None if it cannot be read."""
        try:
            return tomllib.loads(read_limited(path), parse_float=Decimal)  # digits as they are written
        except OSError as error:
            problem = make_problem("file-unreadable.project-file", where=self.name, why=f"{error.strerror}.")
        except (RecursionError, ValueError) as error:
            line_match = re.search(r"line (\d+)", str(error))
            place = f"{self.name}:{line_match[1]}" if line_match else self.name
            problem = make_problem("file-malformed.project-file", where=place, why=redact(f"{error}."))
        self.problems.append(problem)
        return None

    def read_level(self, body: Any, table_path: str) -> ProjectLevel:
        """Return the top level, or the profile whose table is `table_path`."""
        body = self.read_table(body, table_path)
        for name in body:
            if name not in (*WORD_KEYS, *TABLE_KEYS):
                self.add_unknown_key(name, table_path)
        start = f"{table_path}." if table_path else ""
        words: dict[str, Any] = {
            name: self.read_value(body[name], table_path) if name in body else None for name in WORD_KEYS
        }
        for name, value in words.items():
            if value and not isinstance(value.value, str):
                self.add_problem(table_path, f"{name} must be a text in quotes")
                words[name] = None
        tables: dict[str, Any] = {
            table: {
                name: self.read_values(values, f"{start}{table}.{_format_key(name)}")
                for name, values in self.read_table(body.get(table, {}), f"{start}{table}").items()
            }
            for table in ("workloads", "platforms")
        }
        parameters = self.read_values(body.get("parameters", {}), f"{start}parameters")
        return ProjectLevel(**words, parameters=parameters, **tables)

    def read_values(self, body: Any, table_path: str) -> dict[str, Value]:
        """Return a table of values; an empty text is none."""
        table = self.read_table(body, table_path)
        return {name: self.read_value(value, table_path) for name, value in table.items() if value != ""}

    def read_table(self, body: Any, table_path: str) -> dict[str, Any]:
        """Return a table; an empty one in place of anything else."""
        if not isinstance(body, dict):
            self.add_problem("", f"{table_path} must be a table, [{table_path}]")
        elif len(body) > MAX_KEYS:
            self.add_problem(table_path, f"the table has {len(body)} names; it can have at most {MAX_KEYS}")
        else:
            return body
        return {}

    def read_value(self, raw: Any, table_path: str) -> Value:
        """Return a raw value with its place."""
        return Value(raw, Origin(PROJECT_FILE, self.format_place(table_path)), base=self.folder)

    def format_place(self, table_path: str) -> str:
        """Return the place of a table."""
        return f"{self.name} [{table_path}]" if table_path else self.name

    def add_problem(self, table_path: str, title: str) -> None:
        """Report what is wrong with a table."""
        self.problems.append(make_problem("file-wrong.project-file", where=self.format_place(table_path), title=title))

    def add_unknown_key(self, name: str, table_path: str) -> None:
        """Report a key that no table has."""
        keys = (*WORD_KEYS, *TABLE_KEYS, *(() if table_path else ("profiles",)))
        self.problems.append(
            make_problem(
                "file-unknown-key.project-file",
                *suggest_name(name, keys),
                where=self.format_place(table_path),
                name=redact(name),
                known=", ".join(keys),
            )
        )


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

    @property
    def platform(self) -> Value | None:
        """The chosen platform."""
        return next((level.platform for level in self.levels if level.platform), None)

    @property
    def workload(self) -> Value | None:
        """The chosen workload."""
        return next((level.workload for level in self.levels if level.workload), None)

    @property
    def terraform(self) -> Value | None:
        """The folder of the Terraform state."""
        return next((level.terraform for level in self.levels if level.terraform), None)

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
    body = reader.load_file(path)
    if body is None:
        return Project(path.parent, (ProjectLevel(),), problems=tuple(reader.problems))
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
    ways = suggest_name(str(profile.value), profiles, prefix="--profile ")
    return make_problem(
        "profile-unknown", *ways, where=profile.origin.where, value=redact(str(profile.value)), why=reason
    )
