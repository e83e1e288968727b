"""job.yaml, the file form of a job, and the configuration file that a workload may have of its own.

Every value keeps its line and text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.values import (
    CONFIG_LAYER,
    JOB_FILE_LAYER,
    Layer,
    Origin,
    SourceText,
    Value,
    prefix_names,
    read_limited,
)
from robotrain.config.yaml_nodes import MalformedYaml, YamlNode, parse_yaml
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.workload import ConfigValue, Workload
from robotrain.nearest_name import suggest_name, suggest_path
from robotrain.redaction import redact

make_problem = Messages(__file__)

SCHEMA_KEY = "$schema"
"""A key by which editors find the schema; not part of the job."""

JOB_KEYS = ("workload", "config", "sources", "parameters", "params", *ARGUMENT_KEYS, "platforms")


def read_job_file(path: Path) -> Layer:
    """Return the job file at `path`, with its problems."""
    reader = JobReader(path)
    return reader.make_job(dict(reader.read_top(JOB_KEYS)))


class JobReader:
    """Reader of one file, which collects values and problems.

    :param kind: what the file describes: `job`, or `pipeline`.
    """

    def __init__(self, path: Path, kind: str = "job") -> None:
        self.path, self.kind = path, kind
        self.name, self.folder = path.name, path.absolute().parent
        self.problems: list[Problem] = []

    def read_top(self, keys: Sequence[str]) -> Iterator[tuple[str, YamlNode]]:
        """Yield the entries of the file; none if it cannot be read."""
        what = f"the {self.kind} file"
        try:
            root = parse_yaml(read_limited(self.path))
        except MalformedYaml as error:
            place, reason = self.format_place(error.line) if error.line else self.name, redact(error.why)
            self.problems.append(make_problem("file-malformed", where=place, what=what, form="YAML", why=reason))
            return
        except (OSError, ValueError) as error:
            ways = suggest_path(self.path) if isinstance(error, FileNotFoundError) else ()
            reason = f"{error.strerror}." if isinstance(error, OSError) else str(error)
            path = str(self.path)
            self.problems.append(make_problem("file-unreadable", *ways, given=path, what=what, why=reason))
            return
        is_empty = root is None or not (root.pairs or root.items or root.text)
        if is_empty and self.kind == "job":  # of a pipeline, that it has no steps is said elsewhere
            self.problems.append(make_problem("file-empty", given=str(self.path)))
        if root:
            yield from self.read_mapping(root, what, keys)

    def make_job(self, top: Mapping[str, YamlNode]) -> Layer:
        """Return the job of the entries, with all problems so far."""
        values: dict[str, Value] = {}
        for key in ("workload", "config"):
            if key in top and not top[key].null:
                text = self.read_text(top[key], key)
                values[key] = self.make_value(text if key == "workload" else str(self.folder / text), top[key])
        sources = tuple(self._read_sources(top["sources"])) if "sources" in top else ()
        if "parameters" in top:
            values |= prefix_names("parameters", self._read_table(top["parameters"], "parameters"))
        if "params" in top:
            values |= prefix_names("params", self._read_params(top["params"]))
        for name, table in self.read_mapping(top["platforms"], "platforms") if "platforms" in top else ():
            values |= prefix_names(f"platforms.{name}", self._read_table(table, f"platforms.{redact(name)}"))
        return Layer(values, sources, self._read_arguments(top), self.folder, tuple(self.problems))

    def format_place(self, line: int) -> str:
        """Return the place of a line."""
        return f"{self.name}:{line}"

    def make_value(self, value: Any, node: YamlNode) -> Value:
        """Return a value that stands at a node."""
        return Value(value, Origin(JOB_FILE_LAYER, self.format_place(node.line)), base=self.folder)

    def read_mapping(self, node: YamlNode, title: str, keys: Iterable[str] = ()) -> Iterator[tuple[str, YamlNode]]:
        """Yield the entries of a mapping; an unknown key is a problem."""
        if node.null:
            return
        if node.kind != "mapping":
            self.add_problem(node, f"{title} must be a mapping of names to values")
            return
        for key, value_node in node.pairs:
            if not keys or key.text in keys:
                yield key.text, value_node
            elif key.text != SCHEMA_KEY:
                ways, place = suggest_name(key.text, keys), self.format_place(key.line)
                name, known = redact(key.text), ", ".join(keys)
                self.problems.append(
                    make_problem("file-unknown-key", *ways, where=place, what=title, name=name, known=known)
                )

    def _read_table(self, node: YamlNode, title: str) -> dict[str, Value]:
        """Return raw values by name: texts, nodes of several values, and None for a name without one."""
        values_by_name = {}
        for name, value_node in self.read_mapping(node, title):
            raw = value_node if value_node.kind != "scalar" else None if value_node.null else value_node.text
            values_by_name[name] = self.make_value(raw, value_node)
        return values_by_name

    def _read_params(self, node: YamlNode) -> dict[str, Value]:
        """Return the parameters of the user's own: texts as they are written."""
        values_by_name = {}
        for name, value_node in self.read_mapping(node, "params"):
            if value_node.null:
                self.add_problem(value_node, f'params.{redact(name)} has no value; an empty text is ""')
            else:
                values_by_name[name] = self.make_value(self.read_text(value_node, f"params.{redact(name)}"), value_node)
        return values_by_name

    def _read_sources(self, node: YamlNode) -> Iterator[SourceText]:
        """Yield the sources of all roles."""
        for role, sources_node in self.read_mapping(node, "sources"):
            for source_node in sources_node.items if sources_node.kind == "sequence" else [sources_node]:
                kind_nodes = [*self.read_mapping(source_node, f"a source of role {redact(role)}")]
                if len(kind_nodes) > 1:
                    self.add_problem(
                        source_node, f"a source of role {redact(role)} has one kind, not {len(kind_nodes)}"
                    )
                for kind, address_node in kind_nodes:
                    if address_node.null:
                        self.add_problem(address_node, f"{redact(kind)} has no value")
                    else:
                        origin = Origin(JOB_FILE_LAYER, self.format_place(address_node.line))
                        address = self.read_text(address_node, redact(kind))
                        yield SourceText(role, (kind,), address, origin, self.folder)

    def _read_arguments(self, top: Mapping[str, YamlNode]) -> tuple[Value, ...] | None:
        """Return the trainer's arguments; None if there are none."""
        nodes = {key: top[key] for key in ARGUMENT_KEYS if key in top and not top[key].null}
        if len(nodes) > 1:
            self.add_problem(top[ARGUMENT_KEYS[-1]], f"{' and '.join(nodes)} are two names of the same list: keep one")
        for key, node in nodes.items():
            if node.kind == "sequence":
                return tuple(self.make_value(self.read_text(item, f"an item of {key}"), item) for item in node.items)
            self.add_problem(node, f"{key} must be a list with one argument per item")
        return None

    def read_text(self, node: YamlNode, title: str) -> str:
        """Return the text of a scalar."""
        if node.kind != "scalar" or node.null:
            kind = "empty" if node.null else f"a {node.kind}; a text with braces or brackets needs quotes"
            self.add_problem(node, f"{title} must be plain text, but is {kind}")
        return node.text

    def add_problem(self, node: YamlNode, title: str) -> None:
        """Report what is wrong with a node."""
        self.problems.append(make_problem("file-wrong", where=self.format_place(node.line), title=title))


def read_workload_config(workload: Workload, config: Value) -> Layer:
    """Return what a configuration file says, with its problems."""
    path = Path(str(config.value)).absolute()
    folder = path.parent
    parameters: dict[str, Value] = {}
    sources: list[SourceText] = []
    arguments: list[Value] = []
    problems: list[Problem] = []
    for config_value in _read_values(workload, config, path):
        if isinstance(config_value, Problem):
            problems.append(config_value)
            continue
        name, raw_value, value_place = config_value
        role, dot, kind = name.partition(".")
        value_text = {True: "true", False: "false"}[raw_value] if isinstance(raw_value, bool) else str(raw_value)
        if name.startswith("-"):
            arguments.append(Value(f"{name}={value_text}", Origin(CONFIG_LAYER, value_place)))
        elif dot:
            sources.append(SourceText(role, (kind,), value_text, Origin(CONFIG_LAYER, value_place), folder))
        else:
            parameters[name] = Value(value_text, Origin(CONFIG_LAYER, value_place), base=folder)
    valid_names = {parameter.name for parameter in get_parameters(workload.parameters)}
    if unknown_names := [name for name in parameters if name not in valid_names]:
        reason = f"The workload's read_config gives {unknown_names[0]}, which is no parameter of {workload.name}."
        problems.append(_make_config_problem(path, config, reason))
    values = prefix_names("parameters", parameters)
    return Layer(values, tuple(sources), tuple(arguments), folder, tuple(problems))


def _read_values(workload: Workload, config: Value, path: Path) -> Iterator[ConfigValue | Problem]:
    """Yield what the workload's module finds in the file, and what is wrong."""
    if not workload.read_config:
        yield make_problem("config-not-taken", where=config.origin.where, given=str(config.value), name=workload.name)
        return
    try:
        yield from workload.read_config(path)
    except Rejected as rejected:
        yield from rejected.problems
    except OSError as error:
        yield _make_config_problem(path, config, f"{error.strerror or error}.")
    except Exception as error:
        yield _make_config_problem(path, config, f"{type(error).__name__}: {redact(str(error))}")


def _make_config_problem(path: Path, config: Value, reason: str) -> Problem:
    what = f"the configuration file {path.name}"
    return make_problem("file-unreadable", where=config.origin.where, given=str(config.value), what=what, why=reason)
