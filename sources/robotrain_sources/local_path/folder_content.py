"""The content of a local folder: its files, a quick digest, and where its policy is. Standard library only.

Names that begin with a dot (`.git`, `.env`, `.cache`) and `__pycache__` are no content. Links are not followed: a link
counts as its text. A checkpoint's manifest, and times and permissions of files, do not count.

The quick digest covers every path and size, files up to 2 MiB whole, larger ones by their first and last MiB; with very
many files less of each, so that at most a GiB is read. A change between the ends of a file is not noticed here; at
submit every byte is read, see `pin`.
"""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.problem import Problem, make_data_problem

PIN_PREFIX = "folder"
DIGEST_LENGTHS = (64, 32)
"""Hex digits of the full and the quick digest."""


@dataclass(frozen=True)
class FolderDigest:
    """The full and the quick digest of a folder, with the number and size of its files."""

    hex: str
    quick_hex: str
    files: int
    size: int

    @property
    def pin(self) -> str:
        """The pin of a folder with this content."""
        return f"{PIN_PREFIX}:{self.hex}:{self.quick_hex}:{self.files}:{self.size}"


def parse_pin(pin: str) -> FolderDigest | None:
    """Return the digest in a pin; None for a pin of another form, by another version of robotrain."""
    prefix, *parts = pin.split(":")
    if prefix != PIN_PREFIX or len(parts) != 4 or not all(map(str.isdecimal, parts[2:])):
        return None
    if tuple(map(len, parts[:2])) != DIGEST_LENGTHS:
        return None
    return FolderDigest(parts[0], parts[1], int(parts[2]), int(parts[3]))


WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")


def is_used_file(path: Path, role: str) -> bool:
    """Return whether a path is a file that a role takes in place of a folder: weights of a backbone."""
    return role == "backbone" and path.suffix in WEIGHTS_SUFFIXES and path.is_file()


class _FileEntry:
    """A file as if it were alone in a folder, under the name of the link to it, if that is given."""

    def __init__(self, path: str | Path) -> None:
        self.name, self.path = os.path.basename(path), os.path.realpath(path)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return False

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return True

    def is_symlink(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return os.stat(self.path)


def list_entries(
    folder: str | Path, on_skip: Callable[[str], object] = lambda path: None, parent_path: str = ""
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield path and entry of the content below a folder, without folders, in a fixed order; a file is its own content.

    `on_skip` is called with the path of each skipped file or folder.
    """
    if not parent_path and os.path.isfile(folder):
        yield os.path.basename(folder), cast("os.DirEntry[str]", _FileEntry(folder))
        return
    with os.scandir(folder) as scanned_entries:
        ordered = sorted(scanned_entries, key=lambda entry: os.fsencode(entry.name))
    for folder_entry in ordered:
        if folder_entry.name.startswith(".") or folder_entry.name == "__pycache__":
            on_skip(f"{parent_path}{folder_entry.name}")
        elif folder_entry.is_dir(follow_symlinks=False):
            yield from list_entries(folder_entry.path, on_skip, f"{parent_path}{folder_entry.name}/")
        else:
            yield f"{parent_path}{folder_entry.name}", folder_entry


MAX_FILE_BYTES, MIN_FILE_BYTES, MAX_FOLDER_BYTES = 2 << 20, 16 << 10, 1 << 30
PIECE_SIZE = 1 << 18


class FolderEntry(NamedTuple):
    """A file or link in a folder; `content` is a digest."""

    path: str
    kind: bytes
    size: int
    content: str


def is_changed(folder: Path, pin: str) -> bool:
    """Return whether a folder is not what was pinned, by its quick digest. Raise OSError."""
    if (pinned_digest := parse_pin(pin)) is None:
        return False
    paths = list(list_digested_entries(folder))
    end_size = compute_end_size(len(paths))
    folder_entries = [make_folder_entry(*path, lambda entry: digest_file_ends(entry.path, end_size)) for path in paths]
    return digest_entries_quickly(folder_entries) != pinned_digest.quick_hex


def list_digested_entries(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield path and entry of everything that the digest covers."""
    return ((path, folder_entry) for path, folder_entry in list_entries(folder) if folder_entry.name != MANIFEST)


def compute_end_size(file_count: int) -> int:
    """Return how many bytes of each end of a file the quick digest reads."""
    return max(MIN_FILE_BYTES, min(MAX_FILE_BYTES, MAX_FOLDER_BYTES // max(1, file_count))) // 2


def make_folder_entry(
    path: str, entry: os.DirEntry[str], digest_content: Callable[[os.DirEntry[str]], str]
) -> FolderEntry:
    """Return the folder entry of a path; `digest_content` is called for files."""
    if entry.is_symlink():
        link_bytes = os.fsencode(os.readlink(entry.path))
        return FolderEntry(path, b"link", len(link_bytes), hashlib.sha256(link_bytes).hexdigest())
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return FolderEntry(path, b"other", 0, "")  # opening a pipe could wait for ever
    return FolderEntry(path, b"file", status.st_size, digest_content(entry))


def digest_entries(folder_entries: Iterable[FolderEntry]) -> str:
    """Return one digest of all entries."""
    hasher = hashlib.sha256()
    for path, kind, size, content_digest in folder_entries:
        hasher.update(b"%s\0%s\0%d\0%s\n" % (os.fsencode(path), kind, size, content_digest.encode()))
    return hasher.hexdigest()


def digest_entries_quickly(folder_entries: Iterable[FolderEntry]) -> str:
    """Return the quick digest of entries, shortened as in a pin."""
    return digest_entries(folder_entries)[: DIGEST_LENGTHS[1]]


def digest_file_ends(path: str, end_size: int) -> str:
    """Return the digest of a file's first and last `end_size` bytes; of a shorter file of all."""
    hasher = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        _update_from_file(file, end_size, hasher)
        if size > end_size:
            file.seek(max(end_size, size - end_size))
            _update_from_file(file, end_size, hasher)
    return hasher.hexdigest()


def _update_from_file(file: io.FileIO, max_bytes: int, hasher: "hashlib._Hash") -> None:
    while max_bytes and (piece := file.read(min(max_bytes, PIECE_SIZE))):
        hasher.update(piece)
        max_bytes -= len(piece)


POLICY_ROLES = ("policy", "reference", "init_policy")
POLICY_FILES = ("config.json", "model.safetensors")
ADAPTER_FILES = ("config.json", "adapter_config.json", "adapter_model.safetensors")
MODEL_FOLDER = "pretrained_model"


def find_used_part(folder: Path, role: str) -> Path:
    """Return the part of `folder` that a role uses: all of it, of a policy the model if it is one of LeRobot's form."""
    return (_find_model(folder) or folder) if role in POLICY_ROLES else folder


def has_used_part(folder: Path, role: str, takes_any_policy: bool) -> bool:
    """Return whether `folder` has what a role uses."""
    return role not in POLICY_ROLES or takes_any_policy or _find_model(folder) is not None


def _find_model(folder: Path) -> Path | None:
    manifest = checkpoint.read_manifest(folder)
    parts = (folder, folder / MODEL_FOLDER, *([folder / manifest.model] if manifest else []))
    return next((part for part in parts if not _list_missing_files(part)), None)


def explain_no_policy(folder: Path) -> Problem:
    """Return why there is no policy in `folder`."""
    part = folder / MODEL_FOLDER if (folder / MODEL_FOLDER).is_dir() else folder
    missing_files = _list_missing_files(part)
    sentence = (
        f"{part} contains no policy: {' and '.join(missing_files)} {'are' if len(missing_files) > 1 else 'is'} missing"
    )
    return make_data_problem(sentence)


def find_corruption(part: Path, role: str) -> str:
    """Return why a sealed checkpoint is not what was saved, without a full stop; empty if it is, or is not sealed.

    Of a policy only the model counts.
    """
    for folder in (part, part.parent):
        manifest = checkpoint.read_manifest(folder)
        if manifest and role not in POLICY_ROLES:
            return checkpoint.validate_checkpoint(folder) if folder == part else ""
        if manifest and folder / manifest.model == part:
            model = {path: digest for path, digest in manifest.files.items() if path.startswith(f"{manifest.model}/")}
            return checkpoint.find_changed_file(
                folder, model if manifest.model else manifest.files, "is not what was saved"
            )
    return ""


def _list_missing_files(part: Path) -> list[str]:
    is_adapter = (part / ADAPTER_FILES[1]).is_file() and not (part / POLICY_FILES[1]).is_file()
    return [name for name in (ADAPTER_FILES if is_adapter else POLICY_FILES) if not (part / name).is_file()]
