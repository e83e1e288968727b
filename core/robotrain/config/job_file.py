"""job.yaml, the file form of a job, and the configuration file that a workload may have of its own.

Every value keeps its line and text.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config import corrected_lines, misplaced_keys
from robotrain.config.validate import ValueTable
from robotrain.config.values import (
    CONFIG_LAYER,
    JOB_FILE_LAYER,
    MAX_KEYS,
    Layer,
    Origin,
    SourceText,
    Value,
    prefix_names,
    read_limited,
)
from robotrain.config.yaml_nodes import MalformedYaml, YamlNode, convert_to_json, is_mapping, parse_yaml
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.workload import ConfigValue, Workload
from robotrain.nearest_name import correct_folder, is_misspelling, suggest_name
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import get_plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)

MAX_SUGGESTED_FILES = 3
SCHEMA_KEY = "$schema"
"""A key by which editors find the schema; not part of the job."""

JOB_KEYS = ("workload", "config", "sources", "parameters", "params", *ARGUMENT_KEYS, "platforms")
PLACES = " Inputs stand below sources, values of the workload below parameters, settings below platforms: NAME."
"""Where the values of a job stand."""
KINDS_HINT = "`robotrain platforms` lists the kinds of sources"
EXAMPLES = {
    "sources": Suggestion("sources: {ROLE: {KIND: ADDRESS}}", KINDS_HINT),
    "parameters": Suggestion("parameters: {NAME: VALUE}"),
    "params": Suggestion("params: {NAME: VALUE}"),
    "platforms": Suggestion("platforms: {PLATFORM: {NAME: VALUE}}"),
}
"""What to write in place of something else than a mapping."""
REASONS = {
    "dataset": "Data stands below sources.",
    "platform": "The same job file is for every platform.",
    "profile": "A profile of robotrain.toml is chosen at submission.",
}
"""What to know about keys that no job file has."""


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
        self.title = f"the {kind} file"
        self.workload_name = ""
        """The workload that the file names."""
        self.problems: list[Problem] = []

    def read_top(self, keys: Sequence[str]) -> Iterator[tuple[str, YamlNode]]:
        """Yield the entries of the file; none if it cannot be read."""
        file_text = ""
        try:
            file_text = read_limited(self.path)
            root, unsupported_nodes = parse_yaml(file_text)
        except OSError as error:
            ways = self.suggest_files() if isinstance(error, FileNotFoundError) else ()
            self.add_unreadable(f"{error.strerror}.", ways)
            return
        except MalformedYaml as error:
            self.problems.append(self._make_malformed_problem(file_text, error))
            return
        except ValueError as error:
            self.add_unreadable(str(error))
            return
        self.problems += [
            make_problem("file-wrong.job-file", where=self.format_place(line), title=title)
            for line, title in unsupported_nodes
        ]
        is_empty = root is None or not (root.pairs or root.items or root.text)
        if is_empty and self.kind == "job":  # of a pipeline, that it has no steps is said elsewhere
            self.problems.append(make_problem("file-empty", given=str(self.path)))
        if root is None or self.is_other_kind(root):
            return
        self.workload_name = next((value.text for key, value in root.pairs if key.text == "workload"), "")
        yield from self.read_mapping(root, self.title, keys)

    def _make_malformed_problem(self, file_text: str, error: MalformedYaml) -> Problem:
        """Return the problem of a text that is no YAML, with the corrected line where that is certain."""
        line_numbers = (error.begin, error.line, error.line - 1)
        corrected_line = corrected_lines.find_yaml_line(file_text, line_numbers, is_mapping) if error.line else None
        number = corrected_line.number if corrected_line else error.line
        return make_problem(
            "file-malformed.job-file",
            *corrected_lines.suggest_line(corrected_line),
            where=self.format_place(number) if number else self.name,
            kind=self.kind,
            why=corrected_line.reason if corrected_line else redact(error.why),
        )

    def is_other_kind(self, root: YamlNode) -> bool:
        """Report a pipeline file that is read as a job file, or the other way round; return whether it is one."""
        keys = {key.text for key, _ in root.pairs}
        is_job = not keys.isdisjoint(JOB_KEYS)
        is_pipeline = "steps" in keys
        if is_job == is_pipeline or is_pipeline == (self.kind == "pipeline"):
            return False
        kind, command = ("job", "robotrain submit") if is_job else ("pipeline", "robotrain pipeline submit")
        self.problems.append(
            make_problem(
                "file-wrong.other-kind",
                where=str(self.path),
                name=self.name,
                kind=self.kind,
                found=kind,
                command=command,
            )
        )
        return True

    def make_job(self, top: Mapping[str, YamlNode]) -> Layer:
        """Return the job of the entries, with all problems so far."""
        values: dict[str, Value] = {}
        for key in ("workload", "config"):
            if key in top and not top[key].null:
                scalar_text = self.read_text(top[key], key)
                values[key] = self.make_value(
                    scalar_text if key == "workload" else str(self.folder / scalar_text), top[key]
                )
        sources = tuple(self.read_sources(top["sources"])) if "sources" in top else ()
        empty_values: dict[str, Value] = {}
        if "parameters" in top:
            values |= prefix_names("parameters", self.read_table(top["parameters"], "parameters"))
            empty_values |= prefix_names("parameters", self._read_empty(top["parameters"]))
        if "params" in top:
            values |= prefix_names("params", self.read_params(top["params"]))
        for name, table in self.read_mapping(top["platforms"], "platforms") if "platforms" in top else ():
            values |= prefix_names(f"platforms.{name}", self.read_table(table, f"platforms.{redact(name)}"))
            empty_values |= prefix_names(f"platforms.{name}", self._read_empty(table))
        arguments = self.read_arguments(top)
        return Layer(values, sources, arguments, self.folder, tuple(self.problems), empty_values=empty_values)

    def _read_empty(self, node: YamlNode) -> dict[str, Value]:
        """Return the names in a table that have no value."""
        return {key.text: self.make_value("", key) for key, value_node in node.pairs if value_node.null}

    def format_place(self, line: int) -> str:
        """Return the place of a line."""
        return f"{self.name}:{line}"

    def make_value(self, value: object, node: YamlNode) -> Value:
        """Return a value that stands at a node."""
        return Value(value, Origin(JOB_FILE_LAYER, self.format_place(node.line)), base=self.folder)

    def read_mapping(
        self, node: YamlNode, mapping_title: str, keys: Iterable[str] = (), example: Suggestion | None = None
    ) -> Iterator[tuple[str, YamlNode]]:
        """Yield the entries of a mapping; a repeated or unknown key is a problem. `example`: what to write instead."""
        if node.null:
            return
        if node.kind != "mapping":
            ways = (example,) if example else (EXAMPLES[mapping_title],) if mapping_title in EXAMPLES else ()
            self.add_problem(node, f"{mapping_title} must be a mapping of names to values", ways)
            return
        if len(node.pairs) > MAX_KEYS:
            self.add_problem(node, f"{mapping_title} has {len(node.pairs)} names; it can have at most {MAX_KEYS}")
            return
        read_keys: set[str] = set()
        for key, value_node in node.pairs:
            if key.kind != "scalar":
                self.add_problem(key, f"a name in {mapping_title} must be plain text")
            elif key.plain and key.text == "<<":
                self.add_problem(key, "merge keys are not supported; write the values out")
            elif key.text in read_keys:
                self.add_problem(key, f"{redact(key.text)!r} is repeated in {mapping_title}")
            elif keys and key.text not in keys:
                self.add_unknown_key(key, mapping_title, keys, value_node)
            else:
                read_keys.add(key.text)
                yield key.text, value_node

    def read_table(self, node: YamlNode, what: str, nested: bool = False) -> dict[str, Value]:
        """Return raw values by name, without nulls; tables and lists are kept as such unless `nested`."""
        values_by_name = {}
        for name, value_node in self.read_mapping(node, what):
            if value_node.kind in ("mapping", "sequence") and not nested:
                table = self.read_nested_value(value_node, f"{what}.{redact(name)}")
                values_by_name[name] = self.make_value(table, value_node)
            elif value_node.kind != "scalar":
                self.add_problem(value_node, f"{what}.{redact(name)} must be a single value, not a {value_node.kind}")
            elif not value_node.null:
                values_by_name[name] = self.make_value(value_node.text, value_node)
        return values_by_name

    def read_params(self, node: YamlNode) -> dict[str, Value]:
        """Return the parameters of the user's own: texts as they are written."""
        values_by_name = {}
        for name, value_node in self.read_mapping(node, "params"):
            if value_node.kind != "scalar":
                self.add_problem(value_node, f"params.{redact(name)} must be a single value, not a {value_node.kind}")
            elif value_node.null:
                self.add_problem(value_node, f'params.{redact(name)} has no value; an empty text is ""')
            else:
                values_by_name[name] = self.make_value(value_node.text, value_node)
        return values_by_name

    def read_nested_value(self, node: YamlNode, setting_title: str) -> ValueTable:
        """Return a table or list for settings that accept one."""
        refusal = make_problem(
            "file-wrong.nested-value", where=self.format_place(node.line), what=setting_title, kind=node.kind
        )
        json_text = convert_to_json(node)
        if node.kind != "mapping":
            return ValueTable((), refusal, json_text, (refusal,))
        inner_reader = JobReader(self.path, self.kind)
        entries = tuple(inner_reader.read_table(node, setting_title, nested=True).items())
        return ValueTable(entries, refusal, json_text, tuple(inner_reader.problems))

    def read_sources(self, node: YamlNode) -> Iterator[SourceText]:
        """Yield the sources of all roles."""
        for role, sources_node in self.read_mapping(node, "sources"):
            for source_node in sources_node.items if sources_node.kind == "sequence" else [sources_node]:
                example = self._suggest_source(role, source_node)
                kind_nodes = [*self.read_mapping(source_node, f"a source of role {redact(role)}", example=example)]
                if len(kind_nodes) > 1:
                    separate_sources = ", ".join(
                        f"{{{kind}: {json.dumps(address_node.text)}}}" for kind, address_node in kind_nodes
                    )
                    way = Suggestion(redact(f"{role}: [{separate_sources}]"))
                    self.add_problem(
                        source_node, f"a source of role {redact(role)} has one kind, not {len(kind_nodes)}", (way,)
                    )
                for kind, address_node in kind_nodes:
                    if address_node.null:
                        self.add_problem(address_node, f"{redact(kind)} has no value")
                    elif address_node.kind != "scalar":
                        self.add_problem(address_node, f"{redact(kind)} must be plain text, not a {address_node.kind}")
                    else:
                        origin = Origin(JOB_FILE_LAYER, self.format_place(address_node.line))
                        yield SourceText(role, (kind,), address_node.text, origin, self.folder)

    def _suggest_source(self, role: str, source_node: YamlNode) -> Suggestion:
        """Return what to write in place of a source that is no mapping."""
        if source_node.kind == "scalar" and source_node.text:
            kinds = get_plugins().source_kinds()
            if kind := misplaced_keys.find_source_kind(role, source_node.text, self.folder, kinds):
                return Suggestion(redact(f"{role}: {{{kind}: {json.dumps(source_node.text)}}}"))
        address_text = json.dumps(source_node.text) if source_node.kind == "scalar" else "ADDRESS"
        return Suggestion(redact(f"{role}: {{KIND: {address_text}}}"), KINDS_HINT)

    def read_arguments(self, top: Mapping[str, YamlNode]) -> tuple[Value, ...] | None:
        """Return the trainer's arguments; None if there are none."""
        nodes = {key: top[key] for key in ARGUMENT_KEYS if key in top and not top[key].null}
        if len(nodes) > 1:
            self.add_problem(top[ARGUMENT_KEYS[-1]], f"{' and '.join(nodes)} are two names of the same list: keep one")
        for key, node in nodes.items():
            if node.kind == "sequence":
                return tuple(self._read_items(key, node))
            words = _split_text(node)
            way = Suggestion(redact(f"{key}: {json.dumps(words, ensure_ascii=False)}"))
            self.add_problem(node, f"{key} must be a list with one argument per item", (way,) if words else ())
            return tuple(self.make_value(word, node) for word in words if self._runs_command())
        return None

    def _runs_command(self) -> bool:
        """Return whether the workload that the file names runs a command of the user's own."""
        with suppress(PluginError):  # reported where the job is read
            return bool(self.workload_name and get_plugins().workload(self.workload_name).own_command)
        return False

    def _read_items(self, key: str, node: YamlNode) -> Iterator[Value]:
        for item_node in node.items:
            if item_node.null:
                self.add_problem(item_node, f"an item of {key} is empty")
            elif placeholder := _read_placeholder(item_node):
                title = f"{placeholder} is a mapping in YAML without quotes"
                self.add_problem(item_node, title, (Suggestion(f'"{placeholder}"'),))
                yield self.make_value(placeholder, item_node)
            else:
                item_text = self.read_text(item_node, f"an item of {key}")
                yield self.make_value(item_text, item_node)

    def read_text(self, node: YamlNode, what: str) -> str:
        """Return the text of a scalar."""
        if node.kind != "scalar":
            self.add_problem(node, f"{what} must be plain text, not a {node.kind}")
        return node.text

    def add_problem(self, node: YamlNode, title: str, suggestions: tuple[Suggestion, ...] = ()) -> None:
        """Report what is wrong with a node."""
        location = self.format_place(node.line)
        self.problems.append(make_problem("file-wrong.job-file", *suggestions, where=location, title=title))

    def add_unreadable(self, reason: str, suggestions: tuple[Suggestion, ...] = ()) -> None:
        """Report that the file cannot be read."""
        path = str(self.path)
        self.problems.append(
            make_problem("file-unreadable.job-file", *suggestions, given=path, kind=self.kind, why=reason)
        )

    def suggest_files(self) -> tuple[Suggestion, ...]:
        """Return the files that may be meant by one that does not exist, or the command that writes one."""
        folder = self.path.parent
        if not folder.exists() and (path := correct_folder(str(self.path), Path())):
            return (Suggestion(shlex.quote(path)),)
        paths = [path for ending in ("yaml", "yml") for path in folder.glob(f"*.{ending}")]
        paths = paths or list(folder.glob(f"*/{self.path.stem}.yaml"))
        if same_stem := [path for path in paths if path.stem == self.path.stem]:  # job.yml for job.yaml
            return tuple(Suggestion(shlex.quote(str(path))) for path in same_stem[:MAX_SUGGESTED_FILES])
        near_stem = next((path.stem for path in paths if is_misspelling(self.path.stem, path.stem)), None)
        paths.sort(key=lambda path: (path.stem != near_stem, path))
        ways = tuple(Suggestion(shlex.quote(str(path))) for path in paths[:MAX_SUGGESTED_FILES])
        if ways and near_stem is None:
            return (Suggestion("FILE", "one of those that are here"), *ways)
        return ways or (Suggestion("robotrain init …", f"writes a {self.kind} file"),)

    @staticmethod
    def _suggest_key(text: str, keys: Iterable[str]) -> tuple[Suggestion, ...]:
        """Return the key that is probably misspelt; a parameter that stands at the top resembles some key by chance."""
        return tuple(
            key_suggestion for key_suggestion in suggest_name(text, keys) if is_misspelling(text, key_suggestion.text)
        )

    def add_unknown_key(self, key: YamlNode, what: str, keys: Iterable[str], value: YamlNode) -> None:
        """Report an unknown key, except `$schema`, which is for editors."""
        if what == self.title and key.text == SCHEMA_KEY:
            return
        ways = self._suggest_key(key.text, keys)
        is_of_job = what == self.title and self.kind == "job"
        if is_of_job and not (ways and value.kind != "scalar"):  # a single value stands below none of the other keys
            place = misplaced_keys.suggest_place(key.text, value, self.workload_name, self.folder, get_plugins())
            ways = (place,) if place else ways
        reason = REASONS.get(key.text, "") if what == self.title else ""
        if not reason and not ways:
            reason = f"Known: {', '.join(keys)}.{PLACES if 'parameters' in keys else ''}"
        self.problems.append(
            make_problem(
                "file-unknown-key.job-file",
                *ways,
                where=self.format_place(key.line),
                what=what,
                name=redact(key.text),
                why=reason,
            )
        )


def _read_placeholder(node: YamlNode) -> str:
    """Return the placeholder that a mapping stands for without its quotes: `{lr}`; empty for any other node."""
    is_name = len(node.pairs) == 1 and node.pairs[0][1].null and node.pairs[0][0].text.isidentifier()
    return f"{{{node.pairs[0][0].text}}}" if is_name else ""


def _split_text(node: YamlNode) -> list[str]:
    """Return the words of a command that was written as one text; none if it is no such text."""
    try:
        return shlex.split(node.text) if node.kind == "scalar" else []
    except ValueError:
        return []


def read_workload_config(workload: Workload, config: Value) -> Layer:
    """Return what a configuration file says, with its problems."""
    path = Path(str(config.value)).absolute()
    folder = path.parent
    parameters: dict[str, Value] = {}
    sources: list[SourceText] = []
    problems: list[Problem] = []
    for config_value in _read_values(workload, config, path):
        if isinstance(config_value, Problem):
            problems.append(config_value)
            continue
        name, raw_value, value_place = config_value
        role, dot, kind = name.partition(".")
        value_text = {True: "true", False: "false"}[raw_value] if isinstance(raw_value, bool) else str(raw_value)
        if dot:
            sources.append(SourceText(role, (kind,), value_text, Origin(CONFIG_LAYER, value_place), folder))
        else:
            parameters[name] = Value(value_text, Origin(CONFIG_LAYER, value_place), base=folder)
    valid_names = {parameter.name for parameter in get_parameters(workload.parameters)}
    if unknown_names := [name for name in parameters if name not in valid_names]:
        reason = f"The workload's read_config gives {unknown_names[0]}, which is no parameter of {workload.name}."
        problems.append(_make_config_problem(path, config, reason))
    values = prefix_names("parameters", parameters)
    return Layer(values, tuple(sources), folder=folder, problems=tuple(problems))


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
    return make_problem(
        "file-unreadable.configuration", where=config.origin.where, given=str(config.value), name=path.name, why=reason
    )
