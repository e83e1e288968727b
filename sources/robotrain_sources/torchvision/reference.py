"""Weights of torchvision: the typed reference and its parser. Standard library only: container plugins import it."""

import difflib
import re
from dataclasses import dataclass
from typing import ClassVar

from robotrain_runtime.contract.failure import SourceError

from robotrain_sources.torchvision import weights_table

FORM = "NETWORK_Weights.NAME"
NAME = r"[A-Za-z0-9_]+_Weights\.[A-Za-z0-9_]+"
FILE_WAY = "--backbone-path FILE.pth"
"""What brings weights where torchvision's cannot be had."""


@dataclass(frozen=True)
class TorchvisionWeights:
    """Weights that torchvision knows. `str()` is their name."""

    kind: ClassVar[str] = "torchvision"

    name: str

    @property
    def url(self) -> str:
        """The address of the file, which ends with the name that torchvision looks for."""
        return weights_table.WEIGHTS[self.name][0]

    @property
    def sha256(self) -> str:
        """The digits of the file's SHA-256 that are known: all 64, or the 8 that torchvision itself compares."""
        return weights_table.WEIGHTS[self.name][1]

    def __str__(self) -> str:
        return self.name


def parse_weights(text: str) -> TorchvisionWeights:
    """Return the weights that `text` names. Raise SourceError."""
    name = text.strip()
    if name in weights_table.WEIGHTS:
        return TorchvisionWeights(name)
    if not re.fullmatch(NAME, name):
        raise SourceError(f"Weights of torchvision have the form {FORM}, such as ResNet18_Weights.IMAGENET1K_V1.")
    close_names = difflib.get_close_matches(name, weights_table.WEIGHTS, n=1)
    weights_names = ", ".join(
        weights_name for weights_name in weights_table.WEIGHTS if not weights_name.endswith(".DEFAULT")
    )
    raise SourceError(f"Known weights of ResNet: {weights_names}.", close_names[0] if close_names else "")
