"""Where a value came from, and what it overrode."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """layer: flag, job file, environment, .env.local, .env or default. where: `--steps`, `job.yaml:3`, `STEPS`."""

    layer: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.layer} {self.where}".strip()


@dataclass(frozen=True)
class Value:
    """A raw value as somebody gave it (text, or a declared default), and those it overrode, strongest first."""

    value: Any
    origin: Origin
    overrode: tuple["Value", ...] = ()


DEFAULT = Origin("default")
