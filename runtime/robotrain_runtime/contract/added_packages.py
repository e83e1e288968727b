"""Packages that a job adds to the environment of its workload: one lock with all, and the files that it names.

They are locked when the job is submitted (`JobDocument.program_lock`), against the lock of the workload's environment,
so that none of its packages changes.
"""

import base64
import bz2
import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from robotrain_runtime.contract import files
from robotrain_runtime.contract.container_plugin import PythonEnvironment, read_lock
from robotrain_runtime.contract.document import JobDocument

FOLDER = "added-packages"
"""The folder of the cache with a folder for each such lock."""
LOCK_FILE, BASE_FILE, ADDED_FILE = "packages.txt", "base.txt", "added.txt"
"""The lock of all, and the two that it is of: that of the workload, as it is, and that of the packages."""
FILES_PLACE = "${FILES}"
"""What stands in a lock for the folder of the files that it names."""
ADDRESSED = re.compile(r"^([A-Za-z0-9][\w.-]*) @ \S*?([^/\s]+)(?=\s|$)", re.MULTILINE)
PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)", re.MULTILINE)
VERSIONED_FILE = re.compile(r"[^-]+-([^-]+)(?:-.*)?(?:\.whl|\.tar\.gz)")
WHEELS_ONLY = "--only-binary :all:"
PLAIN_LINE = re.compile(
    rf"#[^\\]*|{WHEELS_ONLY}|[A-Za-z0-9][\w.-]*"
    rf"(?:==[\w.!+]+| @ {re.escape(FILES_PLACE)}/[\w.+-]+)(?: --hash=sha256:[0-9a-f]{{64}})+"
)
"""A line of a lock that names a package by its version, or a file of the job, with hashes. A comment goes not on."""
LINE_END, CONTINUED = re.compile(r"(?<!\\)\n"), re.compile(r"\s*\\\n\s*")
SIZE = re.compile(r"\A#.*?(\d+) bytes$", re.MULTILINE)
UNPACKED = 2.5
"""How many times as large as its wheels a package is."""


def encode_file(file_bytes: bytes) -> str:
    """Return a file as a job document has it: text that no rule for secrets takes for one."""
    return base64.b64encode(bz2.compress(file_bytes)).decode()


def decode_file(encoded_file: str) -> bytes:
    """Return the content of a file of a job document."""
    return bz2.decompress(base64.b64decode(encoded_file))


def list_packages(lock: str) -> dict[str, str]:
    """Return the version of each package of a lock by its name; empty for one that its file does not tell."""
    versions = dict(PINNED.findall(lock))
    for name, file in ADDRESSED.findall(lock):
        match = VERSIONED_FILE.fullmatch(unquote(file))
        versions[name] = match[1] if match else ""
    return versions


def find_other_line(lock: str) -> str:
    """Return the first line of a lock that names anything but packages by version, and files of the job, with hashes.

    Empty for none. Options, addresses and other files are what only a lock that was made on this machine may have.
    """
    for lock_line in map(str.strip, LINE_END.split(lock.replace("\r", "\n"))):
        if lock_line and not PLAIN_LINE.fullmatch(
            lock_line if lock_line.startswith("#") else CONTINUED.sub(" ", lock_line)
        ):
            return lock_line
    return ""


def estimate_gib(lock: str) -> float:
    """Return the disk space, in GiB, of the packages of a lock whose first line says how large its wheels are."""
    size = SIZE.search(lock)
    return int(size[1]) * UNPACKED / 1024**3 if size else 0.0


def add_packages(environment: PythonEnvironment, document: JobDocument) -> PythonEnvironment:
    """Return an environment with the packages that a job adds to it; its lock is written into the cache.

    A document without a cache describes a job for a check: its environment is the workload's own. Raise OSError.
    """
    if not document.program_lock or not document.placement.cache:
        return environment
    lock = read_lock(environment.lock)
    parts = [lock, document.program_lock, *document.program_files]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    folder = Path(document.placement.cache, FOLDER, digest).absolute()
    if not (folder / LOCK_FILE).is_file():
        _write_lock(folder, lock, document.program_lock, document.program_files)
    return dataclasses.replace(
        environment,
        lock=folder / LOCK_FILE,
        gib=round(environment.gib + estimate_gib(document.program_lock), 1),
        required_packages={**environment.required_packages, **list_packages(document.program_lock)},
    )


def _write_lock(folder: Path, lock: str, added_lock: str, packages: Mapping[str, str]) -> None:
    """Write the lock of both, and the files that it names."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.with_name(f"{folder.name}.lock").touch()  # so that it can be removed from the cache
    with files.make_atomically(folder, replace=True) as scratch:
        scratch.mkdir(exist_ok=True)
        for name, file_text in packages.items():
            (scratch / Path(name).name).write_bytes(decode_file(file_text))
        added_lock = added_lock.replace(FILES_PLACE, folder.as_uri())
        binary_options = "\n".join(
            f"--only-binary {name}" for name in list_packages(added_lock)
        )  # of the base, some may be built
        texts_by_name = {
            BASE_FILE: lock,
            ADDED_FILE: added_lock,
            LOCK_FILE: f"{lock.rstrip()}\n{added_lock.replace(WHEELS_ONLY, binary_options)}",
        }
        for name, file_text in texts_by_name.items():
            (scratch / name).write_text(file_text, encoding="utf-8")
