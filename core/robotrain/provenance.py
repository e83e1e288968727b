"""Where a value came from, and what it overrode."""

from __future__ import annotations

from typing import Any, NamedTuple


class Origin(NamedTuple):
    """layer: flag, job file, environment, .env.local, .env, robotrain.toml, terraform, looked up, platform, default; of
    a run once more, run.

    where: `--steps`, `job.yaml:3`, `STEPS`, `.env:4`, `robotrain.toml [parameters]`, `mars: why it gives this value`.
    """

    layer: str
    where: str = ""

    def __str__(self) -> str:
        """Both, but for a layer that its place begins with."""
        in_place = self.where.rpartition("/")[2].startswith(self.layer)
        return self.where if in_place else f"{self.layer} {self.where}".strip()


class Value(NamedTuple):
    """A raw value as somebody gave it (text, or a declared default), and those it overrode, strongest first."""

    value: Any
    origin: Origin
    overrode: tuple[Value, ...] = ()


DEFAULT = Origin("default")
PLATFORM = "platform"
UNSAID = ("default", PLATFORM)
"""Layers that nobody said anything in."""


def own_name(name: str) -> str:
    """The environment name that robotrain reads first for a flag or a field: `ROBOTRAIN_BLOB_URL` of `--blob-url`."""
    return "ROBOTRAIN_" + name.strip("-").replace("-", "_").upper()
