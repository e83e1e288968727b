"""The declarations of the sample plugin: a source kind and a workload with a parameter of each type."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from robotrain.model.capabilities import FEATURES
from robotrain.plugin import Param, Role, RoleFlag, SourceError, SourceKind, Workload, hook

ROLE_FLAGS = {
    "dataset": "--kit-shelf",
    "policy": "--kit-policy",
    "init_policy": "--kit-init-policy",
    "checkpoint": "--kit-checkpoint",
    "resume": "--kit-resume",
}


@dataclass(frozen=True)
class KitShelf:
    """A shelf, by whatever stands on it."""

    kind: ClassVar[str] = "kit_shelf"
    text: str

    def __str__(self) -> str:
        return self.text


def parse_shelf(text: str, base: Path) -> KitShelf:
    """Return the shelf of that text. Raise SourceError for control characters and for an empty text."""
    if not text.strip() or any(ord(letter) < 0x20 for letter in text):
        raise SourceError("A shelf has a name without control characters.")
    return KitShelf(text)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the kind of this module."""
    return (
        SourceKind(
            name=KitShelf.kind,
            title="shelves of the kit",
            form="SHELF",
            example="shelf/of the kit",
            help="A shelf of the conformance kit.",
            roles={role: RoleFlag(flag, repeatable=role == "dataset") for role, flag in ROLE_FLAGS.items()},
            recognizes=lambda text: text.startswith("shelf/"),
            parse=parse_shelf,
            container_plugin=f"{__package__}.container",
        ),
    )


def _declare(name: str, type: Any, default: Any, help: str = "any value", **rules: Any) -> tuple[str, Any, Any]:
    return name, Annotated[type, Param(help=help, **rules)], dataclasses.field(default=default)


SampleParameters = dataclasses.make_dataclass(
    "SampleParameters",
    [
        _declare("kit_note", str, ""),
        _declare("kit_nickname", str | None, None),
        _declare("kit_steps", int, 1, gt=0),
        _declare("kit_rate", float, 0.5, gt=0),
        _declare("kit_fast", bool, False),
        _declare("kit_mode", Literal["plain", "fancy"], "plain"),
        _declare("kit_table", str | None, None, table=True),
        _declare("publish_url", str | None, None, help="a place to write to"),
        *(_declare(f"kit_text_{number}", str, "") for number in range(1, 10)),
        *(
            _declare(f"kit_needs_{name}", bool, False, help=f"needs a platform that can {title}", requires=name)
            for name, title in FEATURES.items()
        ),
    ],
    frozen=True,
    kw_only=True,
)
SampleParameters.__module__ = __name__


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (
        Workload(
            name="kit-train",
            summary="what the conformance kit sends",
            parameters=SampleParameters,
            roles={role: Role(many=role == "dataset") for role in ROLE_FLAGS},
            container_plugin=f"{__package__}.container",
            targets=("publish_url",),
        ),
    )
