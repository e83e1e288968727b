"""Declares `shelf`: a kind of source that no platform has heard of."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.model.support import ANY, no
from robotrain.plugin import hook

_WHOLE = r"shelf://[a-z0-9/]+"


@dataclass(frozen=True)
class Shelf:
    kind: ClassVar[str] = "shelf"

    address: str

    def __str__(self) -> str:
        return self.address


def recognises(text: str) -> bool:
    return text.startswith("shelf:")


def parse(text: str, base: Path) -> Shelf:
    if not re.fullmatch(_WHOLE, text):
        raise SourceError("A shelf has an address.", "shelf://NAME")
    return Shelf(text)


KIND = SourceKind(
    name=Shelf.kind,
    title="shelves",
    form="shelf://NAME",
    example="shelf://top/left",
    help="A shelf.",
    roles={
        "dataset": RoleFlag("--shelf"),
        "policy": RoleFlag("--policy-shelf", repeatable=False),
        "reference": RoleFlag("--reference-shelf"),
        "init_policy": RoleFlag("--init-shelf", repeatable=False),
        "checkpoint": RoleFlag("--checkpoint-shelf", repeatable=False),
        "resume": RoleFlag("--resume-shelf", repeatable=False),
        "code": RoleFlag("--code-shelf", repeatable=False),
        "backbone": RoleFlag("--backbone-shelf"),
        "scenes": RoleFlag("--scenes-shelf", repeatable=False),
    },
    recognizes=recognises,
    parse=parse,
    container_plugin="parity_stranger.container",
    target="parity_stranger.target",
)


@dataclass(frozen=True)
class Box:
    kind: ClassVar[str] = "attic"

    address: str

    def __str__(self) -> str:
        return self.address


ATTIC = SourceKind(
    name=Box.kind,
    title="boxes in the attic",
    form="attic://NAME",
    example="attic://chest",
    help="A box.",
    roles={"dataset": RoleFlag("--attic"), "policy": RoleFlag("--policy-attic", repeatable=False)},
    recognizes=lambda text: text.startswith("attic:"),
    parse=lambda text, base: Box(text),
    unsupported={
        ANY: no("The attic is reached by its ladder alone.", "--shelf shelf://NAME"),
        "policy": no("Policies are not kept in the attic.", "--policy-shelf shelf://NAME"),
    },
)
"""One that nothing fetches: it says itself why no platform takes it."""


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    return (KIND, ATTIC)
