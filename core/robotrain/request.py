"""A request: what the user said, nothing more. Raw texts with their origin, sources in the order typed."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robotrain.job_file import JobFile
    from robotrain.layers import NameLayer
    from robotrain.project import Project
    from robotrain.provenance import Origin, Value
    from robotrain.terraform import Terraform


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
    names: tuple[NameLayer, ...] = ()
    project: Project | None = None
    terraform: Terraform | None = None
    folder: Path = field(default_factory=Path.cwd)
    flags: frozenset[str] = frozenset()
    settled: bool = False
    unsaid: Mapping[str, Value] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
