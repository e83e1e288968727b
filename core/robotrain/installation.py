"""How this robotrain was installed, and the command that adds to it in that way. Imported for errors only."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, quote

import tomllib

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


def find_version(distribution: str) -> str:
    """Return the version of a distribution; empty if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def list_extras() -> list[str]:
    """Return the names of robotrain's extras: NAME of `robotrain[NAME]`."""
    try:
        return list(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ())
    except metadata.PackageNotFoundError:
        return []


class _Requirement(NamedTuple):
    """A package that the tool was installed with."""

    name: str
    extras: tuple[str, ...] = ()
    version: str = ""
    """`>=2`."""
    source: str = ""
    """The address that it was installed from, unless that is a package index."""
    editable: str = ""
    """The folder that it is used from as it is."""

    def list_words(self, option: str = "", editable_option: str = "--editable") -> list[str]:
        """Return the words that install it again: `option` and its text."""
        extras = f"[{','.join(dict.fromkeys(self.extras))}]" if self.extras else ""
        if self.editable:
            return [editable_option, f"{self.editable}{extras}"]
        requirement_text = f"{self.name}{extras}" + (f" @ {self.source}" if self.source else self.version)
        return [option, requirement_text] if option else [requirement_text]


def _format_uv_tool(receipt: Path, requirements: Sequence[str], change: InstallAction) -> str:
    """Return the command that installs the tool again: it replaces what the tool was installed with."""
    try:
        receipt_requirements = tomllib.loads(receipt.read_text())["tool"]["requirements"]
        installed = [_read_receipt_entry(requirement) for requirement in receipt_requirements]
    except (OSError, ValueError, KeyError, TypeError):
        installed = []
    options = {"add": [], "upgrade": ["--upgrade"], "reinstall": ["--reinstall"]}[change]
    return shlex.join(["uv", "tool", "install", *options, *_list_uv_words(installed, requirements)])


def _read_receipt_entry(entry: dict[str, Any]) -> _Requirement:
    """Return a requirement of uv's receipt. Raise KeyError if it has no name."""
    source = str(entry.get("url", ""))
    if folder := entry.get("path") or entry.get("directory"):
        source = f"file://{quote(str(folder))}"
    if "git" in entry:  # as uv writes it: URL?rev=REVISION&subdirectory=FOLDER
        address, _, query = str(entry["git"]).partition("?")
        fields = dict(parse_qsl(query))
        revision = next((f"@{fields[key]}" for key in ("rev", "tag", "branch") if key in fields), "")
        folder = f"#subdirectory={fields['subdirectory']}" if "subdirectory" in fields else ""
        source = f"git+{address}{revision}{folder}"
    extras = tuple(map(str, entry.get("extras") or ()))
    version = str(entry.get("specifier", ""))
    return _Requirement(str(entry["name"]), extras, version, source, str(entry.get("editable", "")))


def _list_uv_words(installed: Sequence[_Requirement], requirements: Sequence[str], own_option: str = "") -> list[str]:
    """Return robotrain with its extras, and the other requirements as `--with`."""
    own_requirement = next(
        (requirement for requirement in installed if requirement.name == DISTRIBUTION), _Requirement(DISTRIBUTION)
    )
    own_requirement = own_requirement._replace(version="")
    other_words = [
        requirement.list_words("--with", "--with-editable")
        for requirement in installed
        if requirement.name != DISTRIBUTION
    ]
    for requirement in requirements:
        if match := re.fullmatch(rf"{DISTRIBUTION}(?:\[([\w,. -]+)\])?", requirement):
            extras = [extra.strip() for extra in (match[1] or "").split(",") if extra.strip()]
            own_requirement = own_requirement._replace(extras=(*own_requirement.extras, *extras))
        else:
            other_words.append(["--with", requirement])
    distinct_words = {tuple(words): words for words in other_words}
    return [*own_requirement.list_words(own_option), *(word for words in distinct_words.values() for word in words)]
