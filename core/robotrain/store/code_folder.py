"""The files of a code folder that are uploaded: no ignored files, no secrets, and no links that lead out of it.

They are staged in a copy, which pins and uploads read like any other folder.
"""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.files import make_atomically

IGNORE_FILES = (".gitignore", ".amlignore")
_SECRET_NAMES = (
    r"(?i)id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:pem|key|p12|pfx|kdbx|jks|keystore|env)|kubeconfig|credentials|htpasswd"
    r"|(?:credentials?|secrets?|client[-_]secret.*|service[-_]account.*|.*tokens?)\.(?:json|ya?ml|toml|ini|cfg|txt)"
)
MAX_STAGED = 4
"""Staged copies of one folder that are kept."""


@dataclass(slots=True)
class CodeContent:
    """The content of a folder of code, by paths in it, in a fixed order."""

    files: dict[str, str] = field(default_factory=dict)
    """The real path of each file that is sent."""
    secrets: list[str] = field(default_factory=list)
    """Files whose names say that they hold secrets."""
    links: list[str] = field(default_factory=list)
    """Links out of the folder or to a folder, and special files."""


def scan_folder(folder: Path) -> CodeContent:
    """Return the content of a folder; names that begin with a dot and ignored ones are left out. Raise OSError."""
    content, root = CodeContent(), os.path.realpath(folder)
    for path, entry in _list_entries(folder, "", ()):
        real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        is_outside = entry.is_symlink() and not real.startswith(root + os.sep)
        if is_outside or not entry.is_file():
            content.links.append(path)
        elif re.fullmatch(_SECRET_NAMES, entry.name) or re.fullmatch(_SECRET_NAMES, os.path.basename(real)):
            content.secrets.append(path)
        else:
            content.files[path] = real
    return content


def _list_entries(
    folder: str | Path, parent_path: str, ignored: tuple[tuple[str, Any], ...]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    for entry in ordered:
        if entry.name in IGNORE_FILES and entry.is_file():
            from pathspec import GitIgnoreSpec  # costs start-up

            with open(entry.path, encoding="utf-8", errors="replace") as lines:
                ignored = (*ignored, (parent_path, GitIgnoreSpec.from_lines(lines)))
    for entry in ordered:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        path, is_folder = f"{parent_path}{entry.name}", entry.is_dir(follow_symlinks=False)
        shown = f"{path}/" if is_folder else path
        if any(spec.match_file(shown.removeprefix(start)) for start, spec in ignored):
            continue
        if is_folder:
            yield from _list_entries(entry.path, f"{path}/", ignored)
        else:
            yield path, entry


def stage_folder(folder: Path) -> Path:
    """Return a copy of the files that are sent: the one of an earlier call if no file changed since. Raise OSError."""
    from robotrain.store import files

    content = scan_folder(folder)
    hasher = hashlib.sha256()
    for path, real in content.files.items():
        status = os.stat(real)
        hasher.update(b"%s\0%d\0%d\0%d\n" % (os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ino))
    parent = files.get_cache_folder() / "code" / hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    target = parent / hasher.hexdigest()[:32]
    if target.is_dir():
        return target
    try:
        with make_atomically(target) as scratch:
            scratch.mkdir()
            for path, real in content.files.items():
                (scratch / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(real, scratch / path)
    except OSError:
        if not target.is_dir():  # else another command staged it meanwhile
            raise
    others = [one for one in parent.iterdir() if one != target and not one.name.startswith(".")]
    for old in sorted(others, key=lambda one: one.stat().st_mtime)[: 1 - MAX_STAGED]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_or_compute_pin(staged: Path, compute: Callable[[], str]) -> str:
    """Return the pin of a staged copy, whose files never change: computed once. Raise OSError."""
    from robotrain.store import files

    file = staged.with_name(f".{staged.name}.pin")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="ascii")
    pin = compute()
    files.write_atomically(file, pin.encode())
    return pin
