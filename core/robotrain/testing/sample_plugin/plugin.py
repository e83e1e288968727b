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
    """The shelf of that text. Raises SourceError for control characters and for nothing at all."""
    if not text.strip() or any(ord(letter) < 0x20 for letter in text):
        raise SourceError("A shelf has a name without control characters.")
    return KitShelf(text)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this module."""
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


WORKLOAD_NAME = "kit-train"
TEXT_PARAMETERS = 9
"""How many parameters of any text it has, beside others."""


def _text_parameter(number: int) -> tuple[str, Any, Any]:
    return f"kit_text_{number}", Annotated[str, Param(help="any text")], dataclasses.field(default="")


def _feature_parameter(feature: str) -> tuple[str, Any, Any]:
    help = f"needs a platform that can {FEATURES[feature]}"
    return f"kit_needs_{feature}", Annotated[bool, Param(help=help, requires=feature)], dataclasses.field(default=False)


SampleParameters = dataclasses.make_dataclass(
    "Parameters",
    [
        ("kit_note", Annotated[str, Param(help="any text")], dataclasses.field(default="")),
        ("kit_nickname", Annotated[str | None, Param(help="a text, or none")], dataclasses.field(default=None)),
        ("kit_steps", Annotated[int, Param(help="how many", gt=0)], dataclasses.field(default=1)),
        ("kit_rate", Annotated[float, Param(help="how fast", gt=0)], dataclasses.field(default=0.5)),
        ("kit_fast", Annotated[bool, Param(help="whether at all")], dataclasses.field(default=False)),
        ("kit_mode", Annotated[Literal["plain", "fancy"], Param(help="which way")], dataclasses.field(default="plain")),
        ("kit_table", Annotated[str | None, Param(help="texts by name", table=True)], dataclasses.field(default=None)),
        ("publish_url", Annotated[str | None, Param(help="a place to write to")], dataclasses.field(default=None)),
        *(_text_parameter(number) for number in range(1, TEXT_PARAMETERS + 1)),
        *(_feature_parameter(feature) for feature in FEATURES),
    ],
    frozen=True,
    kw_only=True,
)
SampleParameters.__module__ = __name__


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The workload of this module."""
    return (
        Workload(
            name=WORKLOAD_NAME,
            summary="what the conformance kit sends",
            parameters=SampleParameters,
            roles={
                "dataset": Role(many=True),
                "policy": Role(),
                "init_policy": Role(),
                "checkpoint": Role(),
                "resume": Role(),
            },
            container_plugin=f"{__package__}.container",
            targets=("publish_url",),
        ),
    )
