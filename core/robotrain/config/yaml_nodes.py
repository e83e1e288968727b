"""YAML as nodes that keep their lines and texts: plain values only, nothing is expanded or computed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

MAX_DEPTH = 16
JSON_SCALAR = r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
NULL_TAG = "tag:yaml.org,2002:null"
SIMPLE_KEY = "scanning a simple key"
"""What PyYAML says it was doing when it missed a colon."""


class MalformedYaml(ValueError):
    """A text is not YAML of plain values. `line` is 0 if unknown."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.why = reason


class YamlNode(NamedTuple):
    """A scalar, mapping (with `pairs`) or sequence (with `items`); `plain` is a scalar without quotes."""

    kind: str
    line: int
    text: str = ""
    plain: bool = True
    pairs: tuple[tuple[YamlNode, YamlNode], ...] = ()
    items: tuple[YamlNode, ...] = ()
    null: bool = False
    """Whether it is `null`, `~` or empty."""

    def read_json(self) -> Any:
        """Return it as JSON has it: plain numbers, booleans and null keep their types."""
        if self.kind == "sequence":
            return [item.read_json() for item in self.items]
        if self.kind == "mapping":
            return {key.text: value.read_json() for key, value in self.pairs}
        if self.null:
            return None
        return json.loads(self.text) if self.plain and re.fullmatch(JSON_SCALAR, self.text) else self.text

    def read_texts(self) -> Any:
        """Return it with all scalars as they are written, and None for nothing."""
        if self.kind == "sequence":
            return [item.read_texts() for item in self.items]
        if self.kind == "mapping":
            return {key.text: value.read_texts() for key, value in self.pairs}
        return None if self.null else self.text


def parse_yaml(yaml_text: str) -> YamlNode | None:
    """Return the root node; None for an empty text. Raise MalformedYaml."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_unsupported(yaml.parse(yaml_text, Loader=loader))
        root = yaml.compose(yaml_text, Loader=loader)
    except yaml.YAMLError as error:
        context = getattr(error, "context", None) or ""
        is_late = SIMPLE_KEY in context  # it was missed when the next line began
        mark = getattr(error, "context_mark" if is_late else "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "the text is not YAML"
        sentence = f"{reason} {context}".strip()
        raise MalformedYaml(mark.line + 1 if mark else 0, f"{sentence}.".capitalize()) from None
    return _make_node(root) if root else None


def _refuse_unsupported(events: Iterable[Any]) -> None:
    """Raise MalformedYaml for tags, aliases and deep nesting."""
    import yaml

    depth = 0
    for event in events:
        line = event.start_mark.line + 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise MalformedYaml(line, "It is nested too deeply.")
        if isinstance(event, yaml.AliasEvent):
            raise MalformedYaml(line, "Aliases are not supported: write the value out.")
        if getattr(event, "tag", None) is not None:
            raise MalformedYaml(line, "Tags are not supported: write only the value, in quotes if needed.")


def _make_node(node: Any) -> YamlNode:
    """Return a node of PyYAML's as ours. Raise MalformedYaml for keys that are no texts, or are repeated."""
    line, kind = node.start_mark.line + 1, node.id
    if kind == "scalar":
        return YamlNode(kind, line, node.value, plain=not node.style, null=node.tag == NULL_TAG)
    if kind == "sequence":
        return YamlNode(kind, line, items=tuple(map(_make_node, node.value)))
    pairs = tuple((_make_node(key), _make_node(value)) for key, value in node.value)
    names = set[str]()
    for key, _ in pairs:
        if key.kind != "scalar" or (key.plain and key.text == "<<"):
            raise MalformedYaml(key.line, "A name must be plain text; merge keys are not supported.")
        if key.text in names:
            raise MalformedYaml(key.line, f"{key.text!r} is repeated.")
        names.add(key.text)
    return YamlNode(kind, line, pairs=pairs)
