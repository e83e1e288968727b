"""What stands for a plugin file once it was loaded: its module, its folder, and what it brings under a name."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.entry_points import EntryPoint

if TYPE_CHECKING:
    from robotrain.claims import Claim

MODULE = "robotrain_plugin"


class FilePoint(EntryPoint):
    """What a plugin file brings under a name: the module, or one of its commands."""

    __slots__ = ()

    def load(self) -> Any:
        """What it names; the file was imported when its claims were read."""
        module = sys.modules[MODULE]
        return module.commands[self.name.partition(".")[2]] if self.name.startswith("command.") else module


def from_file(claim: Claim) -> bool:
    """Whether a plugin file brings it."""
    return isinstance(claim.point, FilePoint)


def folder() -> Path | None:
    """The folder of the plugin file that was loaded; None without one."""
    module = sys.modules.get(MODULE)
    return Path(module.__file__).parent if module and module.__file__ else None
