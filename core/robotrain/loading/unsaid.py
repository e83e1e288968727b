"""What a platform has that does not declare it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.capabilities import Capabilities


@dataclass(frozen=True)
class NoSettings:
    """The settings of a platform that has none."""


DECLARED: Mapping[str, Any] = {
    "name": None,
    "summary": "",
    "settings": NoSettings,
    "declined": {},
    "capabilities": Capabilities(),
}
"""By name; what a platform can do is then unknown, all of it, and one without a name is not taken."""
