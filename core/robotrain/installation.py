"""How this robotrain was installed, and the command that adds to it in that way. Imported for errors only."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

DISTRIBUTION = "robotrain"
RECEIPT, PIPX_METADATA, VENV_SETTINGS = "uv-receipt.toml", "pipx_metadata.json", "pyvenv.cfg"
UV_CACHE_FOLDERS = {"archive-v0", "environments-v2"}
"""Folders of uv's cache with the environments that `uvx` makes for one command."""
InstallAction = Literal["add", "upgrade", "reinstall"]


def format_install_command(*requirements: str, change: InstallAction = "add") -> str:
    """Return the command that adds, upgrades or reinstalls packages beside this robotrain."""
    prefix = Path(sys.prefix)
    if (prefix / RECEIPT).is_file():
        return _format_uv_tool(prefix / RECEIPT, requirements, change)
    if (prefix / PIPX_METADATA).is_file():
        options = {"add": "", "upgrade": "--pip-args=--upgrade ", "reinstall": "--force "}[change]
        return f"pipx inject {DISTRIBUTION} {options}{shlex.join(requirements)}"
    if UV_CACHE_FOLDERS & set(prefix.parts):
        return shlex.join(["uvx", *_list_uv_words((), requirements, "--from"), DISTRIBUTION]) + " …"
    is_active = os.environ.get("VIRTUAL_ENV") == sys.prefix
    if (prefix / VENV_SETTINGS).is_file() and re.search(r"(?m)^uv = ", (prefix / VENV_SETTINGS).read_text()):
        words = ["uv", "pip", "install", *([f"--{change}"] if change != "add" else []), *requirements]
        return shlex.join(words if is_active else [*words, "--python", sys.prefix])
    program = ["pip"] if is_active else [sys.executable, "-m", "pip"]
    option = {"add": [], "upgrade": ["--upgrade"], "reinstall": ["--force-reinstall"]}[change]
    return shlex.join([*program, "install", *option, *requirements])


def is_installed(distribution: str) -> bool:
    """Return whether a distribution of this name is installed."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def has_extra(name: str) -> bool:
    """Return whether robotrain has an extra of this name, as `robotrain[NAME]`."""
    try:
        return name in (metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ())
    except metadata.PackageNotFoundError:
        return False


def _format_uv_tool(receipt: Path, requirements: Sequence[str], change: InstallAction) -> str:
    """Return the command that installs the tool again: it replaces what the tool was installed with."""
    import tomllib

    try:
        known = tomllib.loads(receipt.read_text())["tool"]["requirements"]
        installed = [_format_requirement(one) for one in known]
    except (OSError, ValueError, KeyError, TypeError):
        installed = []
    options = {"add": [], "upgrade": ["--upgrade"], "reinstall": ["--reinstall"]}[change]
    return shlex.join(["uv", "tool", "install", *options, *_list_uv_words(installed, requirements)])


def _format_requirement(entry: dict[str, object]) -> str:
    extras = entry.get("extras")
    name = f"{entry['name']}[{','.join(map(str, extras))}]" if isinstance(extras, list) else str(entry["name"])
    return name if entry["name"] == DISTRIBUTION else f"{name}{entry.get('specifier', '')}"


def _list_uv_words(installed: Sequence[str], requirements: Sequence[str], own_option: str = "") -> list[str]:
    """Return robotrain with its extras, and the other requirements as `--with`."""
    extras: list[str] = []
    others: list[str] = []
    for requirement in (*installed, *requirements):
        if match := re.fullmatch(rf"{DISTRIBUTION}(?:\[([\w,. -]+)\])?", requirement):
            extras += (extra.strip() for extra in (match[1] or "").split(",") if extra.strip())
        else:
            others.append(requirement)
    own = f"{DISTRIBUTION}[{','.join(dict.fromkeys(extras))}]" if extras else DISTRIBUTION
    words = [own_option, own] if own_option else [own]
    for other in dict.fromkeys(others):
        words += ("--with", other)
    return words
