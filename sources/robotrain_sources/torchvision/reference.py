"""Weights of torchvision: the typed reference, its parser, and its pin, which is the digest of the table.

Standard library only: container plugins import it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from robotrain_runtime.contract.failure import SourceError

from robotrain_sources.torchvision import weights_table

FORM = "NETWORK_Weights.NAME"


@dataclass(frozen=True)
class TorchvisionWeights:
    """Weights that torchvision knows. `str()` is their name."""

    kind: ClassVar[str] = "torchvision"

    name: str

    def __str__(self) -> str:
        return self.name


def parse_weights(text: str) -> TorchvisionWeights:
    """Return the weights that `text` names. Raise SourceError."""
    name = text.strip()
    if name not in weights_table.WEIGHTS:
        raise SourceError(f"Weights of torchvision: {', '.join(weights_table.WEIGHTS)}.")
    return TorchvisionWeights(name)


def resolve_pin(source: object, role: str) -> str:
    """Return the SHA-256 of the file, or the first 8 digits, which torchvision itself compares."""
    return weights_table.WEIGHTS[str(source)][1]


def explain_lost_pin(source: object, role: str, pin: str) -> str:
    """Return why a pin is not that of the weights; empty if it is."""
    return "" if pin == resolve_pin(source, role) else f"{source} does not have the SHA-256 {pin}."


def find_missing_paths(source: object, role: str, paths: Sequence[str]) -> list[str]:
    """Return none: it is one file."""
    return []
