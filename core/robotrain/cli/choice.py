"""What a command line chooses, which decides the options it has: a workload, a platform, a job file."""

from __future__ import annotations  # reading a job file or a `.env` loads YAML: help should not

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.cli.app import plugins_of
from robotrain.folders import DOTENV

if TYPE_CHECKING:
    from robotrain.job_file import JobFile
    from robotrain.layers import NameLayer

DEFAULT_WORKLOAD = "lerobot-train"
"""What `robotrain submit -d …` means without a workload: the common case."""

PLATFORM = "ROBOTRAIN_PLATFORM"
NAMES, FILES = "robotrain.names", "robotrain.files"


class Choice(NamedTuple):
    """platform: empty when nobody chose one. file: what the job file says, None without one."""

    workload: str
    platform: str
    file: JobFile | None = None


def choose(platform: str | None, words: Sequence[str], parent: Any) -> Choice:
    """The workload named, else the job file's, else the default; the platform given, else the environment's."""
    path = next((word for word in words if is_job_file(word)), "")
    file = _file(path, parent) if path else None
    known = plugins_of(parent).names("workload")
    named = next((word for word in words if word in known), "")
    workload = named or (file.workload if file else "") or DEFAULT_WORKLOAD
    return Choice(workload, platform or _platform_by_name(parent), file)


def loaded(load: Callable[[str], Any], name: str) -> Any:
    """What a name loads to; None without a name, and for a plugin that fails: the command says so when it acts."""
    from robotrain.plugins import PluginError

    try:
        return load(name) if name else None
    except PluginError:
        return None


def names(parent: Any) -> tuple[NameLayer, ...]:
    """The environment and the `.env` files of the working folder, read once."""
    from robotrain.layers import dotenv_layers, environment

    meta = parent.find_root().meta
    if NAMES not in meta:
        meta[NAMES] = (environment(), *dotenv_layers(Path.cwd()))
    return tuple(meta[NAMES])


def is_job_file(word: str) -> bool:
    """Whether a word names a job file."""
    return word.endswith((".yaml", ".yml")) and not word.startswith("-")


def _file(path: str, parent: Any) -> JobFile:
    from robotrain import job_file

    read: dict[str, JobFile] = parent.find_root().meta.setdefault(FILES, {})
    if path not in read:
        read[path] = job_file.read(Path(path))
    return read[path]


def _platform_by_name(parent: Any) -> str:
    if said := os.environ.get(PLATFORM):
        return said
    if not any(Path(name).is_file() for name in DOTENV):  # as a rule; then help need not load what reads them
        return ""
    values = (layer.first((PLATFORM,)) for layer in names(parent))
    return next((str(value.value) for value in values if value), "")
