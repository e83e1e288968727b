"""The registry of error codes: what each code means and what to do. docs/errors.md is generated from it.

A package that reports problems describes their codes in a file `error_codes.toml` beside its modules, a table for each
code with `title`, `meaning` and `fix`. A word in capitals stands for a varying part: `KIND-invalid`. `include` lists
packages that it shares codes with.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import tomllib

FILE = "error_codes.toml"
CORE_PACKAGE = "robotrain"
KIND_CODE = "KIND-invalid"
"""The code of an invalid source, with the name of its kind."""
CODE_PATTERN = r"[a-z0-9]+(-[a-z0-9]+)*"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """The description of an error code."""

    code: str
    title: str
    meaning: str
    fix: str
    package: str

    def matches(self, code: str) -> bool:
        """Return whether it describes `code`, which may have a varying part."""
        return re.fullmatch(re.sub(r"[A-Z]+", r"[a-z0-9-]+", self.code), code) is not None


def load_error_codes(packages: Iterable[str]) -> dict[str, ErrorCode]:
    """Return the codes that core and these import packages describe, by code; the first description counts."""
    found: dict[str, ErrorCode] = {}
    waiting, seen = [CORE_PACKAGE, *packages], set()
    while waiting:
        package = waiting.pop(0)
        if package in seen:
            continue
        seen.add(package)
        codes = _read_codes(package)
        waiting += codes.pop("include", ())
        for code, entry in codes.items():
            found.setdefault(code, ErrorCode(code, **entry, package=package))
    return found


def _read_codes(package: str) -> dict[str, Any]:
    try:
        return tomllib.loads(files(package).joinpath(FILE).read_text(encoding="utf-8"))
    except (ModuleNotFoundError, FileNotFoundError, TypeError):  # a TypeError for a plugin that is no package
        return {}


def find_error_code(code: str, packages: Iterable[str], kinds: Callable[[], Iterable[str]]) -> ErrorCode | None:
    """Return the description of a code as a message shows it; None when no package describes it.

    :param kinds: returns the names of the source kinds, each of which has a code.
    """
    known = load_error_codes(packages)
    if entry := known.get(code) or next((entry for entry in known.values() if entry.matches(code)), None):
        is_known = entry.code != KIND_CODE or code in {
            KIND_CODE.replace("KIND", kind.replace("_", "-")) for kind in kinds()
        }
        return entry if is_known else None
    return None


def format_reference(codes: Iterable[ErrorCode]) -> str:
    """Return the reference of `codes` as Markdown, with a heading for each that links can name."""
    groups: dict[str, list[ErrorCode]] = {}
    for entry in codes:
        groups.setdefault(entry.package, []).append(entry)
    parts = []
    for package, entries in groups.items():
        parts.append(f"## {package}\n")
        for entry in sorted(entries, key=lambda entry: entry.code.lower()):
            parts.append(f"### `{entry.code}`\n\n**{entry.title}.** {entry.meaning} {entry.fix}\n")
    return "\n".join(parts)
