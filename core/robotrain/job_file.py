"""job.yaml: the file form of a job. Every value keeps its line, and its text: a file says what the flag would say."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.nearest import offer
from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import Origin, Value
from robotrain.redaction import redact
from robotrain.tables import Table

if TYPE_CHECKING:
    from robotrain.yaml_nodes import Node

SCHEMA_KEY = "$schema"
"""Where some editors look for the schema of a file; it says nothing about the job."""

KEYS = ("workload", "sources", "parameters", "trainer_args", "platforms")
ELSEWHERE = {
    "platform": ("A job does not say where it runs; the same file goes to every platform.", "--platform NAME"),
    "profile": ("A profile belongs to robotrain.toml, and is chosen where the job is submitted.", "--profile NAME"),
}
LAYER = "job file"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A source as the file names it: `- KIND: text` below its role. layer: what the values of this file come from."""

    role: str
    kind: str
    text: str
    where: str
    layer: str = LAYER

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


def read(path: Path) -> JobFile:
    """The file at `path`; what is wrong with it is among its problems, with file:line."""
    from robotrain.yaml_nodes import LARGEST

    folder = path.absolute().parent
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = "It is not UTF-8 text." if isinstance(error, UnicodeDecodeError) else f"{error.strerror}."
        return JobFile(folder=folder, problems=(_unreadable(path, reason),))
    if len(text) > LARGEST:
        return JobFile(
            folder=folder, problems=(_unreadable(path, f"It is larger than any job: over {LARGEST >> 10} KiB."),)
        )
    return _Reader(path.name, folder).read(text)


def strange(file: JobFile, installed: Iterable[str]) -> Iterator[Problem]:
    """A warning for each table of settings of a platform that is not installed here: its name may be misspelt."""
    for name, table in file.platforms.items():
        if name not in installed:
            yield Problem(
                code="job-file-strange-platform",
                stage=Stage.PARSE,
                severity="warning",
                title=f"the job file has settings for {redact(name)!r}, and no platform of that name is installed",
                where=next((value.origin.where for value in table.values()), ""),
                instead=offer(name, installed),
            )


class _Reader:
    """Walks the nodes of one file, gathering values and problems."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.problems: list[Problem] = []

    def read(self, text: str) -> JobFile:
        from robotrain.yaml_nodes import Malformed, compose

        try:
            root, refused = compose(text)
        except Malformed as error:
            where = self.where(error.line) if error.line else self.name
            problem = _problem("job-file-malformed", "the job file is not YAML", where, why=redact(error.why))
            return JobFile(folder=self.folder, problems=(problem,))
        self.problems += [_problem("job-file-wrong", title, self.where(line)) for line, title in refused]
        top = dict(self.pairs(root, "the job file", KEYS)) if root is not None else {}
        return JobFile(
            folder=self.folder,
            workload=self.text(top["workload"], "workload") if "workload" in top and not top["workload"].null else "",
            sources=tuple(self.sources(top["sources"])) if "sources" in top else (),
            parameters=self.table(top["parameters"], "parameters", lists=True) if "parameters" in top else {},
            platforms=self.platforms(top["platforms"]) if "platforms" in top else {},
            trainer_args=self.arguments(top["trainer_args"]) if "trainer_args" in top else None,
            problems=tuple(self.problems),
        )

    def where(self, line: int) -> str:
        return f"{self.name}:{line}"

    def pairs(self, node: Node, what: str, known: Iterable[str] = ()) -> Iterator[tuple[str, Node]]:
        """The entries of a mapping; a key that comes twice or is not `known` is a problem."""
        if node.null:
            return
        if node.kind != "mapping":
            self.wrong(node, f"{what} must be a mapping of names to values")
            return
        seen: set[str] = set()
        for key, value in node.pairs:
            if key.kind != "scalar":
                self.wrong(key, f"a name in {what} must be plain text")
            elif key.plain and key.text == "<<":
                self.wrong(key, "merge keys are not read; write the values out")
            elif key.text in seen:
                self.wrong(key, f"{redact(key.text)!r} comes twice in {what}")
            elif known and key.text not in known:
                self.unknown(key, what, known)
            else:
                seen.add(key.text)
                yield key.text, value

    def table(self, node: Node, what: str, nested: bool = False, lists: bool = False) -> dict[str, Value]:
        """Names to values, as raw text; `null` is as if the line were not there. nested: none of them is a table.
        lists: whether one may be a list is for its declaration to say.
        """
        found = {}
        for name, value in self.pairs(node, what):
            if (value.kind == "mapping" and not nested) or (value.kind == "sequence" and lists):
                several = self.several(value, f"{what}.{redact(name)}")
                found[name] = Value(several, Origin(LAYER, self.where(value.line)))
            elif value.kind != "scalar":
                self.wrong(value, f"{what}.{redact(name)} must be one value, not a {value.kind}")
            elif not value.null:
                found[name] = Value(value.text, Origin(LAYER, self.where(value.line)))
        return found

    def several(self, node: Node, what: str) -> Table:
        """A table or a list in a value's place, for settings that are one."""
        from robotrain import yaml_nodes

        refusal = _problem("job-file-wrong", f"{what} must be one value, not a {node.kind}", self.where(node.line))
        written = yaml_nodes.as_json(node)
        if node.kind != "mapping":
            return Table((), refusal, written, (refusal,))
        inner = _Reader(self.name, self.folder)
        entries = tuple(inner.table(node, what, nested=True).items())
        return Table(entries, refusal, written, tuple(inner.problems))

    def platforms(self, node: Node) -> dict[str, dict[str, Value]]:
        return {name: self.table(value, f"platforms.{redact(name)}") for name, value in self.pairs(node, "platforms")}

    def sources(self, node: Node) -> Iterator[FileSource]:
        for role, listed in self.pairs(node, "sources"):
            for entry in listed.items if listed.kind == "sequence" else [listed]:
                for kind, value in self.pairs(entry, f"a source of role {redact(role)}"):
                    if value.null:
                        self.wrong(value, f"{redact(kind)} names nothing; what to read stands after it")
                    elif value.kind != "scalar":
                        self.wrong(value, f"{redact(kind)} must be plain text, not a {value.kind}")
                    else:
                        yield FileSource(role=role, kind=kind, text=value.text, where=self.where(value.line))

    def arguments(self, node: Node) -> tuple[Value, ...] | None:
        """The trainer's arguments; None when there are none to read."""
        if node.null:
            return None
        if node.kind != "sequence":
            self.wrong(node, "trainer_args must be a list, one argument an item")
            return None
        found = []
        for item in node.items:
            if item.null:
                self.wrong(item, "an item of trainer_args is empty")
            else:
                text = self.text(item, "an item of trainer_args")
                found.append(Value(text, Origin(LAYER, self.where(item.line))))
        return tuple(found)

    def text(self, node: Node, what: str) -> str:
        if node.kind != "scalar":
            self.wrong(node, f"{what} must be plain text, not a {node.kind}")
        return node.text

    def wrong(self, node: Node, title: str) -> None:
        self.problems.append(_problem("job-file-wrong", title, self.where(node.line)))

    def unknown(self, key: Node, what: str, known: Iterable[str]) -> None:
        """A key nobody reads. `$schema` is for editors, and no problem."""
        if known is KEYS and key.text == SCHEMA_KEY:
            return
        why, way = ELSEWHERE.get(key.text, ("", "")) if known is KEYS else ("", "")
        self.problems.append(
            _problem(
                "job-file-unknown-key",
                f"{what} has no key {redact(key.text)!r}",
                self.where(key.line),
                why=why or f"Known: {', '.join(known)}.",
                instead=(Instead(way),) if way else offer(key.text, known),
            )
        )


def _unreadable(path: Path, reason: str) -> Problem:
    return _problem("job-file-unreadable", "the job file cannot be read", str(path), why=reason)


def _problem(code: str, title: str, where: str, why: str = "", instead: tuple[Instead, ...] = ()) -> Problem:
    return Problem(code=code, stage=Stage.PARSE, title=title, where=where, why=why, instead=instead)
