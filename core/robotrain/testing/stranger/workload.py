"""Declares `kit-train`: a parameter of each type, and one for each feature that core knows of."""

import dataclasses
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from robotrain_runtime.parameter import Param

from robotrain.capabilities import FEATURES
from robotrain.hookspecs import hook
from robotrain.workload import Role, Workload

NAME = "kit-train"
TEXTS = 9
"""How many parameters of any text it has, beside others."""


def _text(number: int) -> tuple[str, Any, Any]:
    return f"kit_text_{number}", Annotated[str, Param(help="any text")], dataclasses.field(default="")


def _needing(feature: str) -> tuple[str, Any, Any]:
    help = f"needs a platform that can {FEATURES[feature]}"
    return f"kit_needs_{feature}", Annotated[bool, Param(help=help, requires=feature)], dataclasses.field(default=False)


Parameters = dataclasses.make_dataclass(
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
        *(_text(number) for number in range(1, TEXTS + 1)),
        *(_needing(feature) for feature in FEATURES),
    ],
    frozen=True,
    kw_only=True,
)
Parameters.__module__ = __name__


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The workload of this module."""
    return (
        Workload(
            name=NAME,
            summary="what the conformance kit sends",
            parameters=Parameters,
            roles={
                "dataset": Role(many=True),
                "policy": Role(),
                "init_policy": Role(),
                "checkpoint": Role(),
                "resume": Role(),
            },
            half=f"{__package__}.container",
            targets=("publish_url",),
        ),
    )
