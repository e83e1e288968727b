"""One of the datasets that something is made of. Standard library only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import dataset, made


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """folder: it is only read. name: what the person calls it. info: its description, as it lies there."""

    folder: Path
    name: str
    info: Mapping[str, Any]

    @classmethod
    def at(cls, folder: Path, name: str) -> "Given":
        """The dataset in `folder`. Raises OSError or ValueError with a sentence."""
        return cls(folder=folder, name=name, info=dataset.info(folder, name))

    @property
    def old(self) -> bool:
        """Whether it is converted from v2.1."""
        return dataset.is_old(self.info)

    @property
    def booleans(self) -> list[str]:
        """The features whose values become numbers."""
        return made.booleans(self.info)

    @property
    def changes(self) -> bool:
        """Whether its own data is written anew, beside being merged."""
        return self.old or bool(self.booleans)

    def describe(self, folder: Path, features: made.Features) -> None:
        """Write the description of what it became, in a folder of ours, with these features."""
        path = folder / dataset.INFO
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else dict(self.info)
        path.write_text(json.dumps({**found, "features": features}, indent=4), encoding="utf-8")
