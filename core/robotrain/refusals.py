"""How a platform's answer is told when it is no: in which words, and who would say yes."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robotrain.problem import Instead

if TYPE_CHECKING:
    from robotrain.capabilities import Capabilities, Support
    from robotrain.platforms import Platform

Platforms = Callable[[], "Mapping[str, Platform]"]
"""The installed platforms; called only when something is refused, to say who would take it."""


def says(verb: str, support: Support) -> str:
    """What stands behind the platform's name: `does not accept`."""
    return f"does not say that it can {verb}" if support.level == "unknown" else f"does not {verb}"


def yet(support: Support) -> str:
    """What ends the sentence of a no that will not stay one."""
    return " yet" if support.level == "not_yet" else ""


def others(
    platform: Platform, platforms: Platforms, takes: Callable[[Capabilities], Any], remark: str
) -> tuple[Instead, ...]:
    """The other platforms that would take it."""
    return tuple(
        Instead(f"--platform {name}", remark)
        for name, other in platforms().items()
        if name != platform.name and takes(other.capabilities)
    )


def ways(support: Support, elsewhere: tuple[Instead, ...]) -> tuple[Instead, ...]:
    """The platform's own way out, then the others."""
    named = {way.text for way in elsewhere}
    return (*([Instead(support.instead)] if support.instead and support.instead not in named else []), *elsewhere)
