"""robotrain.toml: values for all jobs of a project, at its top level and in profiles."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tomllib

from robotrain.config import corrected_lines
from robotrain.config.validate import ValueTable
from robotrain.config.values import MAX_KEYS, Layer, Origin, Value, prefix_names, read_limited
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.store.files import PROJECT_FILE, find_project_file

make_problem = Messages(__file__)

TABLE_KEYS = ("parameters", "workloads", "platforms")
WORD_KEYS = ("platform", "workload", "terraform")
JOB_KEYS = ("sources", "params", "trainer_args", "run")


class ProjectLevel(NamedTuple):
    """The values of the top level or of a profile; `parameters` are for any workload, `workloads` by workload."""

    platform: Value | None = None
    workload: Value | None = None
    terraform: Value | None = None
    parameters: Mapping[str, Value] = {}
    workloads: Mapping[str, Mapping[str, Value]] = {}
    platforms: Mapping[str, Mapping[str, Value]] = {}


class _ProjectReader:
    """Reader of one file, which collects problems. Values become the texts that flags would have."""

    def __init__(self, path: Path) -> None:
        self.name, self.folder = os.path.relpath(path), path.parent
        self.problems: list[Problem] = []

    def load_file(self, path: Path) -> dict[str, Any] | None:
        """Return the file's tables; None if it cannot be read."""
        try:
            toml_text = read_limited(path)
        except ValueError as error:
            self.add_unreadable(str(error))
            return None
        except OSError as error:
            self.add_unreadable(f"{error.strerror}.")
            return None
        try:
            return tomllib.loads(toml_text, parse_float=str)  # as written, like the text of a flag
        except tomllib.TOMLDecodeError as error:
            line_match = re.search(r"line (\d+)", str(error))
            corrected_line = corrected_lines.find_toml_line(toml_text, int(line_match[1])) if line_match else None
            error_place = f"{self.name}:{line_match[1]}" if line_match else self.name
            reason = corrected_line.reason if corrected_line else redact(f"{error}.")
            ways = corrected_lines.suggest_line(corrected_line)
            self.problems.append(make_problem("file-malformed.project-file", *ways, where=error_place, why=reason))
        except (RecursionError, ValueError):
            self.problems.append(make_problem("file-malformed.project-too-deep", where=self.name))
        return None

    def add_unreadable(self, reason: str) -> None:
        self.problems.append(make_problem("file-unreadable.project-file", where=self.name, why=reason))

    def read_level(self, body: Mapping[str, Any], table_path: str) -> ProjectLevel:
        """Return the top level, or the profile whose table is `table_path`."""
        body = self.read_table(body, table_path)
        for name in body:
            if name not in (*WORD_KEYS, *TABLE_KEYS):
                self.add_unknown_key(name, table_path)
        path_prefix = f"{table_path}." if table_path else ""
        return ProjectLevel(
            platform=self.read_word(body, "platform", table_path),
            workload=self.read_word(body, "workload", table_path),
            terraform=self.read_word(body, "terraform", table_path),
            parameters=self.read_values(body.get("parameters", {}), f"{path_prefix}parameters"),
            workloads=self.read_named_tables(body.get("workloads"), f"{path_prefix}workloads"),
            platforms=self.read_named_tables(body.get("platforms"), f"{path_prefix}platforms"),
        )

    def read_named_tables(self, body: Any, table_path: str) -> dict[str, dict[str, Value]]:
        """Return a table of tables of values."""
        return {
            name: self.read_values(table, f"{table_path}.{_format_key(name)}")
            for name, table in self.read_tables(body, table_path).items()
        }

    def read_tables(self, body: Any, table_path: str) -> dict[str, dict[str, Any]]:
        """Return a table of tables."""
        tables = {}
        for name, table in self.read_table({} if body is None else body, table_path).items():
            if isinstance(table, dict):
                tables[name] = table
            else:
                self.add_problem(table_path, f"{redact(name)} must be a table, [{table_path}.{_format_key(name)}]")
        return tables

    def read_values(self, body: Any, table_path: str) -> dict[str, Value]:
        """Return a table of single values, as texts."""
        table = self.read_table(body, table_path)
        return {name: value for name in table if (value := self.read_value(table, name, table_path))}

    def read_table(self, body: Any, table_path: str) -> dict[str, Any]:
        if not isinstance(body, dict):
            self.add_problem("", f"{table_path} must be a table, [{table_path}]")
        elif len(body) > MAX_KEYS:
            self.add_problem(table_path, f"the table has {len(body)} names; it can have at most {MAX_KEYS}")
        else:
            return body
        return {}

    def read_word(self, body: Mapping[str, Any], name: str, table_path: str) -> Value | None:
        """Return the name of a platform or workload, or the Terraform folder."""
        if isinstance(body.get(name, ""), str):
            return self.read_value(body, name, table_path)
        self.add_problem(table_path, f"{name} must be a {'folder' if name == 'terraform' else 'name'} in quotes")
        return None

    def read_value(self, body: Mapping[str, Any], name: str, table_path: str) -> Value | None:
        """Return the text of a value; None for an empty or invalid one."""
        value = body.get(name)
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        elif isinstance(value, dict):
            value = self.read_nested_table(value, name, table_path)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            refusal = self.refuse_several(name, table_path)
            value = ValueTable((), refusal, json.dumps(value, ensure_ascii=False), (refusal,))
        elif value is not None and not isinstance(value, str):
            title = "must be a single value" if isinstance(value, list) else "is a date and needs quotes"
            self.add_problem(table_path, f"{redact(name)} {title}")
            return None
        origin = Origin(PROJECT_FILE, self.format_place(table_path))
        return Value(value, origin, base=self.folder) if value else None

    def read_nested_table(self, body: dict[str, Any], name: str, table_path: str) -> ValueTable:
        """Return a table for settings that accept tables."""
        inner_path = f"{table_path}.{_format_key(name)}"
        entries = []
        for key, entry in body.items():
            if isinstance(entry, dict | list):
                self.add_problem(inner_path, f"{redact(key)} must be a single value")
            elif value := self.read_value(body, key, inner_path):
                entries.append((key, value))
        return ValueTable(tuple(entries), self.refuse_several(name, table_path))

    def refuse_several(self, name: str, table_path: str) -> Problem:
        """Return the problem of a table or a list for a setting that takes one value."""
        return make_problem("file-wrong.project-value", where=self.format_place(table_path), name=redact(name))

    def format_place(self, table_path: str) -> str:
        return f"{self.name} [{table_path}]" if table_path else self.name

    def add_problem(self, table_path: str, title: str) -> None:
        self.problems.append(make_problem("file-wrong.project-file", where=self.format_place(table_path), title=title))

    def add_unknown_key(self, name: str, table_path: str) -> None:
        keys = (*WORD_KEYS, *TABLE_KEYS, *(() if table_path else ("profiles",)))
        suggestions: tuple[Suggestion, ...]
        reason = f"Known: {', '.join(keys)}."
        if name in JOB_KEYS:
            reason = f"{name} belongs in a job file or on the command line; {PROJECT_FILE} has what all jobs share."
            suggestions = ()
        else:
            suggestions = self._suggest_table(name, table_path) or suggest_name(name, keys)
        table_place = self.format_place(table_path)
        redacted_name = redact(name)
        self.problems.append(
            make_problem(
                "file-unknown-key.project-file", *suggestions, where=table_place, name=redacted_name, why=reason
            )
        )

    @staticmethod
    def _suggest_table(name: str, table_path: str) -> tuple[Suggestion, ...]:
        """Return the table that a key belongs to, such as `[platforms.NAME]` for `NAME`."""
        from robotrain.config.misplaced_keys import find_project_table  # costs start-up
        from robotrain.plugins.manager import get_plugins

        table = find_project_table(name, get_plugins())
        if not table:
            return ()
        path = ".".join(filter(None, (table_path, table)))
        remark = "" if table.endswith(f".{name}") else f"the table in which {name} stands"
        return (Suggestion(f"[{path}]", remark),)


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
    tables = reader.read_tables(body.pop("profiles", {}), "profiles")
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
