"""job.yaml: the file form of a job. Every value keeps its line and its text.

What does more than say a value (a tag, a mapping that is used twice) is refused with a sentence, and never expanded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.config.coerce import ValueTable
from robotrain.config.request import Origin, Value
from robotrain.errors import Problem, Stage, Suggestion, suggest_name
from robotrain.redaction import redact

MAX_DEPTH = 16
MAX_LETTERS = 1 << 18
"""Letters in a file, and letters that its aliases say again; more is a mistake, or meant to keep somebody waiting."""
JSON_SCALAR = r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
NULLS = ("", "~", "null", "Null", "NULL")


class YamlNode(NamedTuple):
    """kind: scalar, mapping or sequence. plain: a scalar without quotes. pairs are a mapping's, items a sequence's."""

    kind: str
    line: int
    text: str = ""
    plain: bool = True
    pairs: tuple[tuple[YamlNode, YamlNode], ...] = ()
    items: tuple[YamlNode, ...] = ()

    @property
    def null(self) -> bool:
        """Whether it says nothing: `null`, `~`, or an empty place."""
        return self.kind == "scalar" and self.plain and self.text in NULLS


UnsupportedNode = tuple[int, str]
"""The line of something that is YAML and not read here, and what to say of it."""


def convert_to_json(node: YamlNode) -> str:
    """What a node says as JSON: a plain scalar that is a number, `true`, `false` or nothing there is one here."""
    if node.kind == "sequence":
        return f"[{', '.join(map(convert_to_json, node.items))}]"
    if node.kind == "mapping":
        return f"{{{', '.join(f'{json.dumps(key.text)}: {convert_to_json(value)}' for key, value in node.pairs)}}}"
    if node.null:
        return "null"
    return node.text if node.plain and re.fullmatch(JSON_SCALAR, node.text) else json.dumps(node.text)


class MalformedYaml(ValueError):
    """A text that is no YAML, or too much of it. line: 0 when it is not known."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


def parse_yaml(text: str) -> tuple[YamlNode | None, list[UnsupportedNode]]:
    """The root of `text`, None of an empty one, and what is not read in it. Raises Malformed."""
    import yaml

    try:
        composer = _YamlComposer(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        return composer.compose_document(), composer.unsupported
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        raise MalformedYaml(line, _explain_yaml_error(error, text, line)) from None


class _YamlComposer:
    """Nodes from the parser's events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.anchors: dict[str, YamlNode] = {}
        self.unsupported: list[UnsupportedNode] = []
        self.repeated = 0

    def compose_document(self) -> YamlNode | None:
        """The one document; a second one is refused."""
        from yaml import events

        root = None
        documents = 0
        for event in self.events:
            documents += isinstance(event, events.DocumentStartEvent)
            if documents > 1:
                self.add_unsupported(event, "a job file holds one document, and a second one begins here")
                break
            if isinstance(event, events.NodeEvent):
                root = self.compose_node(event, 1)
        return root

    def compose_node(self, event: Any, depth: int) -> YamlNode:
        """What begins with `event`."""
        from yaml import events

        line = event.start_mark.line + 1
        if isinstance(event, events.AliasEvent):
            return self.resolve_alias(event, line)
        if depth > MAX_DEPTH:
            raise MalformedYaml(line, "It is nested deeper than any job.")
        if event.tag is not None:
            self.add_unsupported(event, "tags are not read; write the value alone, in quotes where it needs them")
        if isinstance(event, events.ScalarEvent):
            node = YamlNode("scalar", line, text=str(event.value), plain=bool(event.implicit[0]))
        elif isinstance(event, events.SequenceStartEvent):
            node = YamlNode("sequence", line, items=tuple(self.compose_children(events.SequenceEndEvent, depth)))
        else:
            parts = list(self.compose_children(events.MappingEndEvent, depth))
            node = YamlNode("mapping", line, pairs=tuple(zip(parts[::2], parts[1::2], strict=True)))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def compose_children(self, end: type, depth: int) -> Iterator[YamlNode]:
        """The nodes up to the event that ends them."""
        for event in self.events:
            if isinstance(event, end):
                return
            yield self.compose_node(event, depth + 1)

    def resolve_alias(self, event: Any, line: int) -> YamlNode:
        """The value an alias stands for, as if it were written again; nothing where it is refused."""
        found = self.anchors.get(event.anchor)
        if found is None:
            self.add_unsupported(event, "an alias stands for nothing that was named before it")
        elif found.kind == "scalar":
            self.repeated += len(found.text)
            if self.repeated > MAX_LETTERS:
                raise MalformedYaml(line, "Its aliases say more than any job.")
            return found._replace(line=line)
        else:
            self.add_unsupported(event, f"an alias may stand for one value, not for a {found.kind}; write it out")
        return YamlNode("scalar", line)

    def add_unsupported(self, event: Any, title: str) -> None:
        """Note what is not read."""
        self.unsupported.append((event.start_mark.line + 1, title))


def _explain_yaml_error(error: Any, text: str, line: int) -> str:
    """The parser's reason as a sentence."""
    written = (text.split("\n")[line - 1 : line] or [""])[0]
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "A tab indents this line, and YAML is indented with spaces."
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "the text is not YAML"
    return f"{said}.".capitalize()


SCHEMA_KEY = "$schema"
"""Where some editors look for the schema of a file; it says nothing about the job."""

JOB_KEYS = ("workload", "sources", "parameters", "trainer_args", "platforms")
FOREIGN_KEYS = {
    "platform": ("A job does not say where it runs; the same file goes to every platform.", "--platform NAME"),
    "profile": ("A profile belongs to robotrain.toml, and is chosen where the job is submitted.", "--profile NAME"),
}
JOB_FILE_LAYER = "job file"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A source as the file names it: `- KIND: text` below its role. layer: what the values of this file come from."""

    role: str
    kind: str
    text: str
    where: str
    layer: str = JOB_FILE_LAYER

    @property
    def origin(self) -> Origin:
        """Where it was said."""
        return Origin(self.layer, self.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """What a job file says, unresolved. folder: what relative names in it start from."""

    folder: Path
    workload: str = ""
    sources: tuple[FileSource, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    platforms: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    trainer_args: tuple[Value, ...] | None = None
    problems: tuple[Problem, ...] = ()


def read_job_file(path: Path) -> JobFile:
    """The file at `path`; what is wrong with it is among its problems, with file:line."""
    pass

    folder = path.absolute().parent
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_LETTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = "It is not UTF-8 text." if isinstance(error, UnicodeDecodeError) else f"{error.strerror}."
        return JobFile(folder=folder, problems=(_make_unreadable_problem(path, reason),))
    if len(text) > MAX_LETTERS:
        return JobFile(
            folder=folder,
            problems=(_make_unreadable_problem(path, f"It is larger than any job: over {MAX_LETTERS >> 10} KiB."),),
        )
    return _JobReader(path.name, folder).read_job(text)


def find_unknown_platforms(file: JobFile, installed: Iterable[str]) -> Iterator[Problem]:
    """A warning for each table of settings of a platform that is not installed here: its name may be misspelt."""
    for name, table in file.platforms.items():
        if name not in installed:
            yield Problem(
                code="job-file-strange-platform",
                stage=Stage.PARSE,
                severity="warning",
                title=f"the job file has settings for {redact(name)!r}, and no platform of that name is installed",
                where=next((value.origin.where for value in table.values()), ""),
                suggestions=suggest_name(name, installed),
            )


class _JobReader:
    """Walks the nodes of one file, gathering values and problems."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.problems: list[Problem] = []

    def read_job(self, text: str) -> JobFile:
        pass

        try:
            root, refused = parse_yaml(text)
        except MalformedYaml as error:
            where = self.format_place(error.line) if error.line else self.name
            problem = _make_problem("job-file-malformed", "the job file is not YAML", where, why=redact(error.why))
            return JobFile(folder=self.folder, problems=(problem,))
        self.problems += [_make_problem("job-file-wrong", title, self.format_place(line)) for line, title in refused]
        top = dict(self.read_mapping(root, "the job file", JOB_KEYS)) if root is not None else {}
        return JobFile(
            folder=self.folder,
            workload=self.read_text(top["workload"], "workload")
            if "workload" in top and not top["workload"].null
            else "",
            sources=tuple(self.read_sources(top["sources"])) if "sources" in top else (),
            parameters=self.read_table(top["parameters"], "parameters", lists=True) if "parameters" in top else {},
            platforms=self.read_platforms(top["platforms"]) if "platforms" in top else {},
            trainer_args=self.read_arguments(top["trainer_args"]) if "trainer_args" in top else None,
            problems=tuple(self.problems),
        )

    def format_place(self, line: int) -> str:
        return f"{self.name}:{line}"

    def read_mapping(self, node: YamlNode, what: str, known: Iterable[str] = ()) -> Iterator[tuple[str, YamlNode]]:
        """The entries of a mapping; a key that comes twice or is not `known` is a problem."""
        if node.null:
            return
        if node.kind != "mapping":
            self.add_problem(node, f"{what} must be a mapping of names to values")
            return
        seen: set[str] = set()
        for key, value in node.pairs:
            if key.kind != "scalar":
                self.add_problem(key, f"a name in {what} must be plain text")
            elif key.plain and key.text == "<<":
                self.add_problem(key, "merge keys are not read; write the values out")
            elif key.text in seen:
                self.add_problem(key, f"{redact(key.text)!r} comes twice in {what}")
            elif known and key.text not in known:
                self.add_unknown_key(key, what, known)
            else:
                seen.add(key.text)
                yield key.text, value

    def read_table(self, node: YamlNode, what: str, nested: bool = False, lists: bool = False) -> dict[str, Value]:
        """Names to values, as raw text; `null` is as if the line were not there. nested: none of them is a table.
        lists: whether one may be a list is for its declaration to say.
        """
        found = {}
        for name, value in self.read_mapping(node, what):
            if (value.kind == "mapping" and not nested) or (value.kind == "sequence" and lists):
                several = self.read_nested_value(value, f"{what}.{redact(name)}")
                found[name] = Value(several, Origin(JOB_FILE_LAYER, self.format_place(value.line)))
            elif value.kind != "scalar":
                self.add_problem(value, f"{what}.{redact(name)} must be one value, not a {value.kind}")
            elif not value.null:
                found[name] = Value(value.text, Origin(JOB_FILE_LAYER, self.format_place(value.line)))
        return found

    def read_nested_value(self, node: YamlNode, what: str) -> ValueTable:
        """A table or a list in a value's place, for settings that are one."""
        pass

        refusal = _make_problem(
            "job-file-wrong", f"{what} must be one value, not a {node.kind}", self.format_place(node.line)
        )
        written = convert_to_json(node)
        if node.kind != "mapping":
            return ValueTable((), refusal, written, (refusal,))
        inner = _JobReader(self.name, self.folder)
        entries = tuple(inner.read_table(node, what, nested=True).items())
        return ValueTable(entries, refusal, written, tuple(inner.problems))

    def read_platforms(self, node: YamlNode) -> dict[str, dict[str, Value]]:
        return {
            name: self.read_table(value, f"platforms.{redact(name)}")
            for name, value in self.read_mapping(node, "platforms")
        }

    def read_sources(self, node: YamlNode) -> Iterator[FileSource]:
        for role, listed in self.read_mapping(node, "sources"):
            for entry in listed.items if listed.kind == "sequence" else [listed]:
                for kind, value in self.read_mapping(entry, f"a source of role {redact(role)}"):
                    if value.null:
                        self.add_problem(value, f"{redact(kind)} names nothing; what to read stands after it")
                    elif value.kind != "scalar":
                        self.add_problem(value, f"{redact(kind)} must be plain text, not a {value.kind}")
                    else:
                        yield FileSource(role=role, kind=kind, text=value.text, where=self.format_place(value.line))

    def read_arguments(self, node: YamlNode) -> tuple[Value, ...] | None:
        """The trainer's arguments; None when there are none to read."""
        if node.null:
            return None
        if node.kind != "sequence":
            self.add_problem(node, "trainer_args must be a list, one argument an item")
            return None
        found = []
        for item in node.items:
            if item.null:
                self.add_problem(item, "an item of trainer_args is empty")
            else:
                text = self.read_text(item, "an item of trainer_args")
                found.append(Value(text, Origin(JOB_FILE_LAYER, self.format_place(item.line))))
        return tuple(found)

    def read_text(self, node: YamlNode, what: str) -> str:
        if node.kind != "scalar":
            self.add_problem(node, f"{what} must be plain text, not a {node.kind}")
        return node.text

    def add_problem(self, node: YamlNode, title: str) -> None:
        self.problems.append(_make_problem("job-file-wrong", title, self.format_place(node.line)))

    def add_unknown_key(self, key: YamlNode, what: str, known: Iterable[str]) -> None:
        """A key nobody reads. `$schema` is for editors, and no problem."""
        if known is JOB_KEYS and key.text == SCHEMA_KEY:
            return
        why, way = FOREIGN_KEYS.get(key.text, ("", "")) if known is JOB_KEYS else ("", "")
        self.problems.append(
            _make_problem(
                "job-file-unknown-key",
                f"{what} has no key {redact(key.text)!r}",
                self.format_place(key.line),
                why=why or f"Known: {', '.join(known)}.",
                instead=(Suggestion(way),) if way else suggest_name(key.text, known),
            )
        )


def _make_unreadable_problem(path: Path, reason: str) -> Problem:
    return _make_problem("job-file-unreadable", "the job file cannot be read", str(path), why=reason)


def _make_problem(code: str, title: str, where: str, why: str = "", instead: tuple[Suggestion, ...] = ()) -> Problem:
    return Problem(code=code, stage=Stage.PARSE, title=title, where=where, why=why, suggestions=instead)
