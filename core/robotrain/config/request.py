"""A request: the user's raw values with their origins, and the sources in the order given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

from robotrain.config.env_files import VariableLayer
from robotrain.config.provenance import Origin, Value
from robotrain.config.terraform import TerraformLayer
from robotrain.errors import Problem

if TYPE_CHECKING:
    from robotrain.config.project_file import Project


class SourceText(NamedTuple):
    """A source as given."""

    role: str
    kinds: tuple[str, ...]
    """The names of the kinds that it can be."""
    text: str
    origin: Origin
    base: Path
    """The folder that relative paths start from."""


@lazy_dataclass(frozen=True, kw_only=True)
class JobFile:
    """The unresolved content of a job file; relative paths start from `folder`."""

    folder: Path
    workload: str = ""
    config: Value | None = None
    """The absolute path of the workload's own configuration file."""
    sources: tuple[SourceText, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    params: Mapping[str, Value] = field(default_factory=dict)
    """The parameters of the user's own."""
    platforms: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    trainer_args: tuple[Value, ...] | None = None
    problems: tuple[Problem, ...] = ()


@lazy_dataclass(frozen=True, kw_only=True)
class Request:
    """Everything that the command line or a Python call gives, and the layers below it."""

    parameters: Mapping[str, Value] = field(default_factory=dict)
    params: Mapping[str, Value] = field(default_factory=dict)
    """The parameters of the user's own, as `--param` gives them."""
    settings: Mapping[str, Value] = field(default_factory=dict)
    sources: tuple[SourceText, ...] = ()
    trainer_args: tuple[str | Value, ...] | None = None
    """The arguments after `--`, or values with their own origins; None if not given. Each option replaces the same one
    of the job file.
    """
    assigned_args: tuple[Value, ...] | None = None
    """The trainer's arguments that replace all of the job file, as `--set trainer_args=[…]` gives them."""
    file: JobFile | None = None
    config: Value | None = None
    """The path of the workload's own configuration file, from `folder`; default: that of the job file."""
    variables: tuple[VariableLayer, ...] = ()
    """The environment and the `.env` files, the strongest first."""
    project: Project | None = None
    terraform: TerraformLayer | None = None
    lookups: dict[str, Value | BaseException | None] = field(default_factory=dict)
    """What each lookup function found, or how it failed; the trials of a sweep and the steps of a pipeline share it."""
    folder: Path = field(default_factory=Path.cwd)
    flags: frozenset[str] = frozenset()
    """Every option that belongs before `--`."""
    complete: bool = False
    """Whether omitted values have their declared defaults and nothing is looked up, as in `resubmit`."""
    step: str = ""
    """The step of a pipeline that it is for: its values are changed by `--set STEP.KEY=VALUE`, not by options."""
    defaults: Mapping[str, Value] = field(default_factory=dict)
    """Values that win over the declared defaults only, not over the platform's: the name of the run, or, of a
    resubmitted job with other platform settings, its earlier defaults.
    """
    unread: frozenset[str] = frozenset()
    """The parameters and roles that were given in an invalid way."""
    left_out: frozenset[str] = frozenset()
    """The values of the project's files that the job has no use for."""
