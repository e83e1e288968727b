"""The code that a login node needs: robotrain's packages, as one archive that is sent once."""

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib import resources, util
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zipfile import ZIP_DEFLATED, ZipInfo

import tomllib
from robotrain.store.files import load_or_compute

if TYPE_CHECKING:
    from zipfile import ZipFile

PACKAGES = ("robotrain", "robotrain_runtime", "robotrain_slurm")
LEFT_OUT = ("cli", "config", "testing", "report", "sweeps")
"""Packages of robotrain that only the machine of the user needs."""
EXCLUDED = re.compile(r"\..*|.*~|#.*#|.*\.py[co]|__pycache__|py\.typed")
FORMAT = 1
"""Changes with what is made of the files."""


class Code(NamedTuple):
    """An archive, and its digest."""

    digest: str
    archive: bytes


@cache
def pack_code() -> Code:
    """Return the code of this installation."""
    files = {name: path for package in PACKAGES for name, path in _list_files(package)}
    states = [(name, (at := os.stat(path)).st_ino, at.st_ctime_ns, at.st_size) for name, path in files.items()]
    key = hashlib.sha256(repr((FORMAT, states)).encode()).hexdigest()
    archive = load_or_compute(f"login-{key}", lambda: _zip_files(files))
    return Code(hashlib.sha256(archive).hexdigest()[:32], archive)


def read_bootstrap() -> bytes:
    """Return the program that takes the code."""
    return resources.files(__package__).joinpath("bootstrap.py").read_bytes()


def _list_files(package: str) -> Iterator[tuple[str, str]]:
    spec = util.find_spec(package)
    for top in spec.submodule_search_locations or () if spec else ():
        yield from _list_folder(top, package)


def _list_folder(folder: str, inside: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = f"{inside}/{entry.name}"
            if EXCLUDED.fullmatch(entry.name) or (inside == PACKAGES[0] and entry.name in LEFT_OUT):
                continue
            if entry.is_dir():
                yield from _list_folder(entry.path, path)
            else:
                yield path, entry.path


def _zip_files(files: dict[str, str]) -> bytes:
    """Return the archive. A table in TOML is there as JSON too: Python 3.10 does not read the former."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in files.items():
            content = Path(path).read_bytes()
            _add_file(archive, name, content)
            if name.endswith(".toml"):
                _add_file(archive, f"{name}.json", json.dumps(tomllib.loads(content.decode())).encode())
    return buffer.getvalue()


def _add_file(archive: "ZipFile", name: str, content: bytes) -> None:
    entry = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # equal content gives equal bytes
    entry.external_attr, entry.compress_type = 0o644 << 16, ZIP_DEFLATED
    archive.writestr(entry, content)
