"""A request: what the user said, as raw values with their origin, sources in the order typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from robotrain.config.job_file import JobFile
    from robotrain.config.layers import VariableLayer
    from robotrain.config.project_file import Project
    from robotrain.config.terraform import TerraformLayer


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


DEFAULT_ORIGIN = Origin("default")
PLATFORM_LAYER = "platform"
DEFAULT_LAYERS = ("default", PLATFORM_LAYER)
"""Layers that nobody said anything in."""


def make_variable_name(name: str) -> str:
    """The environment name that robotrain reads first for a flag or a field: `ROBOTRAIN_BLOB_URL` of `--blob-url`."""
    return "ROBOTRAIN_" + name.strip("-").replace("-", "_").upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """An input as typed. kinds: the names of the kinds it may be of. base: what relative names start from."""

    role: str
    kinds: tuple[str, ...]
    text: str
    origin: Origin
    base: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything said on the command line (or in a Python call), and the layers below it.

    parameters, settings: by field name. trainer_args: what stood after `--`, or with its origin what was said for it;
    None when nothing was. names: the environment and the `.env` files, strongest first. project: robotrain.toml, as the
    chosen profile reads it. terraform: its outputs, not read yet. folder: the working folder. flags: every option that
    belongs before `--`, to know one that stands after it. settled: it says all that there is to say, as a run once more
    does: what it leaves out has its declared default, and nothing is looked up. unsaid: of a run once more, on a
    platform that is set otherwise, the parameters that nobody had said, as they were: what the platform now gives by
    itself is stronger. unread: the parameters and roles for which something was typed in a way that is not read.
    """

    parameters: Mapping[str, Value] = field(default_factory=dict)
    settings: Mapping[str, Value] = field(default_factory=dict)
    sources: tuple[SourceText, ...] = ()
    trainer_args: tuple[str | Value, ...] | None = None
    file: JobFile | None = None
    variables: tuple[VariableLayer, ...] = ()
    project: Project | None = None
    terraform: TerraformLayer | None = None
    folder: Path = field(default_factory=Path.cwd)
    flags: frozenset[str] = frozenset()
    complete: bool = False
    previous_defaults: Mapping[str, Value] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
