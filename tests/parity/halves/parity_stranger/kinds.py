"""Declares `shelf`: a kind of source that no platform has heard of."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.hookspecs import hook
from robotrain.source import RoleFlag, SourceError, SourceKind

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
        "init_policy": RoleFlag("--init-shelf", repeatable=False),
        "resume": RoleFlag("--resume-shelf", repeatable=False),
    },
    recognises=recognises,
    parse=parse,
    half="parity_stranger.container",
    target="parity_stranger.target",
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    return (KIND,)
