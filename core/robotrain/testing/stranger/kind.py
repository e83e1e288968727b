"""Declares `kit_shelf`: any text is a shelf of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.hookspecs import hook
from robotrain.source import RoleFlag, SourceError, SourceKind

FLAGS = {
    "dataset": "--kit-shelf",
    "policy": "--kit-policy",
    "init_policy": "--kit-init-policy",
    "checkpoint": "--kit-checkpoint",
    "resume": "--kit-resume",
}


@dataclass(frozen=True)
class Shelf:
    """A shelf, by whatever stands on it."""

    kind: ClassVar[str] = "kit_shelf"
    text: str

    def __str__(self) -> str:
        return self.text


def parse(text: str, base: Path) -> Shelf:
    """The shelf of that text. Raises SourceError for control characters and for nothing at all."""
    if not text.strip() or any(ord(letter) < 0x20 for letter in text):
        raise SourceError("A shelf has a name without control characters.")
    return Shelf(text)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this module."""
    return (
        SourceKind(
            name=Shelf.kind,
            title="shelves of the kit",
            form="SHELF",
            example="shelf/of the kit",
            help="A shelf of the conformance kit.",
            roles={role: RoleFlag(flag, repeatable=role == "dataset") for role, flag in FLAGS.items()},
            recognises=lambda text: text.startswith("shelf/"),
            parse=parse,
            half=f"{__package__}.container",
        ),
    )
