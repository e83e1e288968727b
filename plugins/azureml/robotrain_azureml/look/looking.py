"""What every look has: who asks, the order, and the workspace as it was answered a moment ago."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from robotrain_azure.arm import Arm

from robotrain_azureml.look.once import Once
from robotrain_azureml.order import Order

VERSION = "2024-04-01"
"""Of the resource manager's Machine Learning API."""
PATIENCE = 2.0
"""Seconds for which a bad moment of Azure is sat out: nobody waits long for a look."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Looking:
    """arm: who is signed in here, once for all looks. workspace: its body; empty where it was not told."""

    arm: Arm
    order: Order
    workspace: Mapping[str, Any] = field(default_factory=dict)
    asked: Once = field(default_factory=Once, repr=False, compare=False)

    def get(self, rest: str) -> dict[str, Any]:
        """A part of the workspace, asked once. rest: its path below it. Raises ArmError."""
        return self.once(rest, lambda: self.arm.get(f"{self.order.at.resource}/{rest}", VERSION))

    def once(self, name: str, ask: Callable[[], Found]) -> Found:
        """What is asked, whichever look asks first. Raises as it does."""
        found: Found = self.asked.ask(name, ask)
        return found

    @property
    def region(self) -> str:
        """Of the workspace, as paths have it; empty where it was not told."""
        return str(self.workspace.get("location") or "").replace(" ", "").lower()

    def told(self, name: str) -> str:
        """A property of the workspace that is a text; empty where it was not told."""
        return str((self.workspace.get("properties") or {}).get(name) or "")
