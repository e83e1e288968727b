"""job.yaml: the file form of a job. Every value keeps its line, and its text: a file says what the flag would say."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain.nearest import offer
from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import Origin, Value
from robotrain.redaction import redact

KEYS = ("workload", "sources", "parameters", "trainer_args", "platforms")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A source as the file names it: `- KIND: text` below its role."""

    role: str
    kind: str
    text: str
    where: str


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
    folder = path.absolute().parent
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "It is not UTF-8 text." if isinstance(error, UnicodeDecodeError) else f"{error.strerror}."
        return JobFile(
            folder=folder,
            problems=(_problem("job-file-unreadable", "the job file cannot be read", str(path), why=reason),),
        )
    return _Reader(path.name, folder).read(text)


class _Reader:
    """Walks the YAML nodes of one file, gathering values and problems."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.problems: list[Problem] = []

    def read(self, text: str) -> JobFile:
        import yaml

        try:
            root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{self.name}:{mark.line + 1}" if mark else self.name
            why = f"{getattr(error, 'problem', None) or 'The text is not YAML'}.".capitalize()
            problem = _problem("job-file-malformed", "the job file is not YAML", where, why=redact(why))
            return JobFile(folder=self.folder, problems=(problem,))
        top = dict(self.pairs(root, "the job file", KEYS)) if root is not None else {}
        return JobFile(
            folder=self.folder,
            workload=self.text(top["workload"], "workload") if "workload" in top and not _null(top["workload"]) else "",
            sources=tuple(self.sources(top["sources"])) if "sources" in top else (),
            parameters=self.table(top["parameters"], "parameters") if "parameters" in top else {},
            platforms=self.platforms(top["platforms"]) if "platforms" in top else {},
            trainer_args=self.arguments(top["trainer_args"]) if "trainer_args" in top else None,
            problems=tuple(self.problems),
        )

    def where(self, node: Any) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"

    def pairs(self, node: Any, what: str, known: Iterable[str] = ()) -> Iterator[tuple[str, Any]]:
        """The entries of a mapping; a key that comes twice or is not `known` is a problem."""
        if _null(node):
            return
        if node.id != "mapping":
            self.wrong(node, f"{what} must be a mapping of names to values")
            return
        seen: set[str] = set()
        for key, value in node.value:
            if key.id != "scalar":
                self.wrong(key, f"a name in {what} must be plain text")
            elif key.tag == "tag:yaml.org,2002:merge":
                self.wrong(key, "merge keys are not read; write the values out")
            elif key.value in seen:
                self.wrong(key, f"{redact(key.value)!r} comes twice in {what}")
            elif known and key.value not in known:
                self.unknown(key, what, known)
            else:
                seen.add(key.value)
                yield key.value, value

    def table(self, node: Any, what: str) -> dict[str, Value]:
        """Names to scalar values, as raw text; `null` is as if the line were not there."""
        found = {}
        for name, value in self.pairs(node, what):
            if value.id != "scalar":
                self.wrong(value, f"{what}.{redact(name)} must be one value, not a {value.id}")
            elif not _null(value):
                found[name] = Value(value.value, Origin("job file", self.where(value)))
        return found

    def platforms(self, node: Any) -> dict[str, dict[str, Value]]:
        return {name: self.table(value, f"platforms.{redact(name)}") for name, value in self.pairs(node, "platforms")}

    def sources(self, node: Any) -> Iterator[FileSource]:
        for role, listed in self.pairs(node, "sources"):
            entries = listed.value if listed.id == "sequence" else [listed]
            for entry in entries:
                for kind, value in self.pairs(entry, f"a source of role {redact(role)}"):
                    yield FileSource(role=role, kind=kind, text=self.text(value, kind), where=self.where(value))

    def arguments(self, node: Any) -> tuple[Value, ...] | None:
        """The trainer's arguments; None when there are none to read."""
        if _null(node):
            return None
        if node.id != "sequence":
            self.wrong(node, "trainer_args must be a list, one argument an item")
            return None
        found = []
        for item in node.value:
            if _null(item):
                self.wrong(item, "an item of trainer_args is empty")
            else:
                found.append(Value(self.text(item, "an item of trainer_args"), Origin("job file", self.where(item))))
        return tuple(found)

    def text(self, node: Any, what: str) -> str:
        if node.id == "scalar":
            return str(node.value)
        self.wrong(node, f"{what} must be plain text, not a {node.id}")
        return ""

    def wrong(self, node: Any, title: str) -> None:
        self.problems.append(_problem("job-file-wrong", title, self.where(node)))

    def unknown(self, key: Any, what: str, known: Iterable[str]) -> None:
        self.problems.append(
            _problem(
                "job-file-unknown-key",
                f"{what} has no key {redact(key.value)!r}",
                self.where(key),
                why=f"Known: {', '.join(known)}.",
                instead=offer(key.value, known),
            )
        )


def _null(node: Any) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _problem(code: str, title: str, where: str, why: str = "", instead: tuple[Instead, ...] = ()) -> Problem:
    return Problem(code=code, stage=Stage.PARSE, title=title, where=where, why=why, instead=instead)
