"""YAML as nodes with their text and their line: nothing is read as a number, a date or a switch.

What does more than say a value (a tag, a mapping that is used twice) is refused with a sentence, and never expanded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

DEEPEST = 16
LARGEST = 1 << 18
"""Letters in a file, and letters that its aliases say again; more is a mistake, or meant to keep somebody waiting."""
JSON_SCALAR = r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
NULLS = ("", "~", "null", "Null", "NULL")


class Node(NamedTuple):
    """kind: scalar, mapping or sequence. plain: a scalar without quotes. pairs are a mapping's, items a sequence's."""

    kind: str
    line: int
    text: str = ""
    plain: bool = True
    pairs: tuple[tuple[Node, Node], ...] = ()
    items: tuple[Node, ...] = ()

    @property
    def null(self) -> bool:
        """Whether it says nothing: `null`, `~`, or an empty place."""
        return self.kind == "scalar" and self.plain and self.text in NULLS


Refused = tuple[int, str]
"""The line of something that is YAML and not read here, and what to say of it."""


def as_json(node: Node) -> str:
    """What a node says as JSON: a plain scalar that is a number, `true`, `false` or nothing there is one here."""
    if node.kind == "sequence":
        return f"[{', '.join(map(as_json, node.items))}]"
    if node.kind == "mapping":
        return f"{{{', '.join(f'{json.dumps(key.text)}: {as_json(value)}' for key, value in node.pairs)}}}"
    if node.null:
        return "null"
    return node.text if node.plain and re.fullmatch(JSON_SCALAR, node.text) else json.dumps(node.text)


class Malformed(ValueError):
    """A text that is no YAML, or too much of it. line: 0 when it is not known."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


def compose(text: str) -> tuple[Node | None, list[Refused]]:
    """The root of `text`, None of an empty one, and what is not read in it. Raises Malformed."""
    import yaml

    try:
        composer = _Composer(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        return composer.document(), composer.refused
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        raise Malformed(line, _why(error, text, line)) from None


class _Composer:
    """Nodes from the parser's events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.anchors: dict[str, Node] = {}
        self.refused: list[Refused] = []
        self.repeated = 0

    def document(self) -> Node | None:
        """The one document; a second one is refused."""
        from yaml import events

        root = None
        documents = 0
        for event in self.events:
            documents += isinstance(event, events.DocumentStartEvent)
            if documents > 1:
                self.refuse(event, "a job file holds one document, and a second one begins here")
                break
            if isinstance(event, events.NodeEvent):
                root = self.node(event, 1)
        return root

    def node(self, event: Any, depth: int) -> Node:
        """What begins with `event`."""
        from yaml import events

        line = event.start_mark.line + 1
        if isinstance(event, events.AliasEvent):
            return self.alias(event, line)
        if depth > DEEPEST:
            raise Malformed(line, "It is nested deeper than any job.")
        if event.tag is not None:
            self.refuse(event, "tags are not read; write the value alone, in quotes where it needs them")
        if isinstance(event, events.ScalarEvent):
            node = Node("scalar", line, text=str(event.value), plain=bool(event.implicit[0]))
        elif isinstance(event, events.SequenceStartEvent):
            node = Node("sequence", line, items=tuple(self.children(events.SequenceEndEvent, depth)))
        else:
            parts = list(self.children(events.MappingEndEvent, depth))
            node = Node("mapping", line, pairs=tuple(zip(parts[::2], parts[1::2], strict=True)))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def children(self, end: type, depth: int) -> Iterator[Node]:
        """The nodes up to the event that ends them."""
        for event in self.events:
            if isinstance(event, end):
                return
            yield self.node(event, depth + 1)

    def alias(self, event: Any, line: int) -> Node:
        """The value an alias stands for, as if it were written again; nothing where it is refused."""
        found = self.anchors.get(event.anchor)
        if found is None:
            self.refuse(event, "an alias stands for nothing that was named before it")
        elif found.kind == "scalar":
            self.repeated += len(found.text)
            if self.repeated > LARGEST:
                raise Malformed(line, "Its aliases say more than any job.")
            return found._replace(line=line)
        else:
            self.refuse(event, f"an alias may stand for one value, not for a {found.kind}; write it out")
        return Node("scalar", line)

    def refuse(self, event: Any, title: str) -> None:
        """Note what is not read."""
        self.refused.append((event.start_mark.line + 1, title))


def _why(error: Any, text: str, line: int) -> str:
    """The parser's reason as a sentence."""
    written = (text.split("\n")[line - 1 : line] or [""])[0]
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "A tab indents this line, and YAML is indented with spaces."
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "the text is not YAML"
    return f"{said}.".capitalize()
