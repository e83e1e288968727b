"""YAML as nodes that keep their lines and texts.

YAML beyond plain values, such as tags and aliases of mappings, is rejected and never expanded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from robotrain.config.values import MAX_LETTERS

MAX_DEPTH = 16
JSON_SCALAR = r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
NULLS = ("", "~", "null", "Null", "NULL")
TOO_DEEP = "It is nested too deeply."
PARSER_DEPTH = "maximum nesting depth"
"""Part of the parser's own message, from PyYAML 6.0.4 on: it stops before an event of such a depth comes."""


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


UnsupportedNode = tuple[int, str]
"""The line of unsupported YAML, and a message."""


def convert_to_json(node: YamlNode) -> str:
    """Return a node as JSON; plain numbers, booleans and null keep their types."""
    if node.kind == "sequence":
        return f"[{', '.join(map(convert_to_json, node.items))}]"
    if node.kind == "mapping":
        return f"{{{', '.join(f'{json.dumps(key.text)}: {convert_to_json(value)}' for key, value in node.pairs)}}}"
    if node.null:
        return "null"
    return node.text if node.plain and re.fullmatch(JSON_SCALAR, node.text) else json.dumps(node.text)


class MalformedYaml(ValueError):
    """A text is not YAML, or too large. `line` is 0 if unknown; `begin` is the line where what is wrong began."""

    def __init__(self, line: int, reason: str, begin: int = 0) -> None:
        super().__init__(reason)
        self.line = line
        self.why = reason
        self.begin = begin


SIMPLE_KEY = "scanning a simple key"
"""What PyYAML says it was doing when it missed a colon."""


def parse_yaml(yaml_text: str) -> tuple[YamlNode | None, list[UnsupportedNode]]:
    """Return the root node (None for an empty text) and the unsupported nodes. Raise MalformedYaml."""
    import yaml

    try:
        composer = _YamlComposer(yaml.parse(yaml_text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        return composer.compose_document(), composer.unsupported
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        if SIMPLE_KEY in (getattr(error, "context", None) or ""):  # it was missed when the next line began
            mark = getattr(error, "context_mark", None)
        line_number = mark.line + 1 if mark else 0
        source = (yaml_text.split("\n")[line_number - 1 : line_number] or [""])[0]
        if "\t" in source[: len(source) - len(source.lstrip())]:
            raise MalformedYaml(line_number, "The line is indented with a tab; YAML needs spaces.") from None
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "the text is not YAML"
        explanation = TOO_DEEP if PARSER_DEPTH in reason.lower() else f"{reason}.".capitalize()
        context_mark = getattr(error, "context_mark", None)
        raise MalformedYaml(line_number, explanation, context_mark.line + 1 if context_mark else 0) from None


def is_mapping(yaml_text: str) -> bool:
    """Return whether a text is a mapping in YAML."""
    try:
        root, unsupported_nodes = parse_yaml(yaml_text)
    except MalformedYaml:
        return False
    return root is not None and root.kind == "mapping" and not unsupported_nodes


class _YamlComposer:
    """Composer of nodes from the parser's events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.anchors: dict[str, YamlNode] = {}
        self.unsupported: list[UnsupportedNode] = []
        self.repeated = 0

    def compose_document(self) -> YamlNode | None:
        """Return the root node of the only document."""
        from yaml import events

        root = None
        documents = 0
        for event in self.events:
            documents += isinstance(event, events.DocumentStartEvent)
            if documents > 1:
                self.add_unsupported(event, "a job file contains one document, but a second one begins here")
                break
            if isinstance(event, events.NodeEvent):
                root = self.compose_node(event, 1)
        return root

    def compose_node(self, event: Any, depth: int) -> YamlNode:
        """Return the node that begins with `event`."""
        from yaml import events

        line_number = event.start_mark.line + 1
        if isinstance(event, events.AliasEvent):
            return self.resolve_alias(event, line_number)
        if depth > MAX_DEPTH:
            raise MalformedYaml(line_number, TOO_DEEP)
        if event.tag is not None:
            self.add_unsupported(event, "tags are not supported; write only the value, in quotes if needed")
        if isinstance(event, events.ScalarEvent):
            scalar_text = str(event.value)
            is_plain = bool(event.implicit[0])
            node = YamlNode(
                "scalar", line_number, text=scalar_text, plain=is_plain, null=is_plain and scalar_text in NULLS
            )
        elif isinstance(event, events.SequenceStartEvent):
            node = YamlNode("sequence", line_number, items=tuple(self.compose_children(events.SequenceEndEvent, depth)))
        else:
            parts = list(self.compose_children(events.MappingEndEvent, depth))
            node = YamlNode("mapping", line_number, pairs=tuple(zip(parts[::2], parts[1::2], strict=True)))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def compose_children(self, end: type, depth: int) -> Iterator[YamlNode]:
        """Yield the nodes before the event that ends them."""
        for event in self.events:
            if isinstance(event, end):
                return
            yield self.compose_node(event, depth + 1)

    def resolve_alias(self, event: Any, line_number: int) -> YamlNode:
        """Return the scalar that an alias stands for; an empty one if it is unsupported."""
        node = self.anchors.get(event.anchor)
        if node is None:
            self.add_unsupported(event, "the alias has no anchor before it")
        elif node.kind == "scalar":
            self.repeated += len(node.text)
            if self.repeated > MAX_LETTERS:
                raise MalformedYaml(line_number, "Its aliases repeat too much text.")
            return node._replace(line=line_number)
        else:
            self.add_unsupported(event, f"an alias of a {node.kind} is not supported; write it out")
        return YamlNode("scalar", line_number, null=True)

    def add_unsupported(self, event: Any, title: str) -> None:
        """Record an unsupported node."""
        self.unsupported.append((event.start_mark.line + 1, title))
