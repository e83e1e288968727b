"""What counts in a folder: its files, a quick digest, and where a policy lies. Standard library only.

What begins with a dot is its owner's (`.git`, `.env`, `.cache`), and no part of a dataset or a policy; what Python
notes is none either. A link is told of and never followed. Standard library only.

Every path and size counts, files up to 2 MiB whole, larger ones by their first and last MiB; of very many files less of
each is read, so that a GiB is enough for all. A change that leaves a file's size and both its ends as they are goes
unseen here; where a job is sent all bytes are read, see `digest`. A link counts as the text it holds. What changes
while the data does not is left out: the seal of a checkpoint, and the times and rights of files. Standard library only.

Standard library only.
"""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST

PIN_PREFIX = "folder"
DIGEST_LENGTHS = (64, 32)
"""Hex digits of the two digests."""


@dataclass(frozen=True, slots=True)
class FolderDigest:
    """What a folder holds. hex: the digest of all bytes. seen: that of what a look reads. files, size: altogether."""

    hex: str
    quick_hex: str
    files: int
    size: int

    @property
    def pin(self) -> str:
        """As it is kept."""
        return f"{PIN_PREFIX}:{self.hex}:{self.quick_hex}:{self.files}:{self.size}"

    def __str__(self) -> str:
        return f"{self.files} files of {self.size:,} bytes"


def parse_pin(pin: str) -> FolderDigest | None:
    """The digest that a pin says; None for the pin of a robotrain that looked at folders in another way."""
    prefix, *parts = pin.split(":")
    if prefix != PIN_PREFIX or len(parts) != 4 or not all(map(str.isdecimal, parts[2:])):
        return None
    if tuple(map(len, parts[:2])) != DIGEST_LENGTHS:
        return None
    return FolderDigest(parts[0], parts[1], int(parts[2]), int(parts[3]))


def describe_difference(before: FolderDigest, now: FolderDigest) -> str:
    """In what two digests differ, in some words; empty when they do not."""
    if before == now:
        return ""
    same = (before.files, before.size) == (now.files, now.size)
    return f"as large as then ({now}), but with other content" if same else f"{before} then, {now} now"


SkipHandler = Callable[[str], object]
"""Hears of what is left out, by its path; of a folder once."""


def _ignore_skip(path: str) -> None:
    """Nobody hears."""


def list_entries(
    folder: str | Path, on_skip: SkipHandler = _ignore_skip, parent_path: str = ""
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder that counts and is no folder, with its path from there, in one order for everybody."""
    with os.scandir(folder) as found:
        ordered = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in ordered:
        if is_skipped(entry.name):
            on_skip(f"{parent_path}{entry.name}")
        elif entry.is_dir(follow_symlinks=False):
            yield from list_entries(entry.path, on_skip, f"{parent_path}{entry.name}/")
        else:
            yield f"{parent_path}{entry.name}", entry


def is_skipped(name: str) -> bool:
    """Whether what has this name is left out, with all below it."""
    return name.startswith(".") or name == "__pycache__"


MAX_FILE_BYTES, MIN_FILE_BYTES, MAX_FOLDER_BYTES = 2 << 20, 16 << 10, 1 << 30
PIECE_SIZE = 1 << 18


class FolderEntry(NamedTuple):
    """Something in a folder. content: what tells its content from another."""

    path: str
    kind: bytes
    size: int
    content: str


def check_pin_quickly(folder: Path, pin: str) -> str:
    """Why the folder is not what was pinned, as a sentence; empty when it is.

    Empty also for the pin of a robotrain that looked at folders in another way. Raises OSError.
    """
    return format_change(folder, describe_pin_difference(folder, pin))


def describe_pin_difference(folder: Path, pin: str) -> str:
    """In what the folder differs from what was pinned, in some words; empty as for `unlike`. Raises OSError."""
    if (then := parse_pin(pin)) is None:
        return ""
    found = list(list_digested_entries(folder))
    end = compute_end_size(len(found))
    parts = [make_folder_entry(*one, lambda entry: digest_file_ends(entry.path, end)) for one in found]
    return describe_difference(
        then, FolderDigest(then.hex, digest_entries_quickly(parts), len(parts), sum(one.size for one in parts))
    )


def format_change(folder: Path, difference: str) -> str:
    """The sentence for a folder that differs from what was pinned, in some words; empty for none."""
    return (
        f"{folder} changed since it was pinned: {difference}; written last: {_find_newest_file(folder)}."
        if difference
        else ""
    )


def list_digested_entries(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What the digest of a folder is of."""
    return (one for one in list_entries(folder) if one[1].name != MANIFEST)


def compute_end_size(file_count: int) -> int:
    """How many bytes of each end of a file are read."""
    return max(MIN_FILE_BYTES, min(MAX_FILE_BYTES, MAX_FOLDER_BYTES // max(1, file_count))) // 2


def make_folder_entry(
    path: str, entry: os.DirEntry[str], digest_content: Callable[[os.DirEntry[str]], str]
) -> FolderEntry:
    """What an entry is. content: tells that of a file."""
    if entry.is_symlink():
        text = os.fsencode(os.readlink(entry.path))
        return FolderEntry(path, b"link", len(text), hashlib.sha256(text).hexdigest())
    known = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(known.st_mode):
        return FolderEntry(path, b"other", 0, "")  # a pipe, say: to open it could wait for ever
    return FolderEntry(path, b"file", known.st_size, digest_content(entry))


def digest_entries(parts: Iterable[FolderEntry]) -> str:
    """One digest of them all."""
    total = hashlib.sha256()
    for path, kind, size, content in parts:
        total.update(b"%s\0%s\0%d\0%s\n" % (os.fsencode(path), kind, size, content.encode()))
    return total.hexdigest()


def digest_entries_quickly(parts: Iterable[FolderEntry]) -> str:
    """The digest of what a look reads, as a pin keeps it."""
    return digest_entries(parts)[: DIGEST_LENGTHS[1]]


def digest_file_ends(path: str, end_size: int) -> str:
    """The digest of a file's first and last bytes, `end` of each; of a shorter one that of all."""
    told = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        _update_from_file(file, end_size, told)
        if size > end_size:
            file.seek(max(end_size, size - end_size))
            _update_from_file(file, end_size, told)
    return told.hexdigest()


def _update_from_file(file: io.FileIO, max_bytes: int, hasher: "hashlib._Hash") -> None:
    """Add up to `most` bytes of the file to a hash."""
    while max_bytes and (piece := file.read(min(max_bytes, PIECE_SIZE))):
        hasher.update(piece)
        max_bytes -= len(piece)


def _find_newest_file(folder: Path) -> str:
    """The file that was written last, from the folder; empty when it holds none."""
    written = ((entry.stat(follow_symlinks=False).st_mtime_ns, path) for path, entry in list_entries(folder))
    return max(written, default=(0, "nothing is left"))[1]


POLICY_ROLES = ("policy", "init_policy")
POLICY_FILES = ("config.json", "model.safetensors")
ADAPTER_CONFIG = "adapter_config.json"
MODEL_FOLDER = "pretrained_model"
CHUNK_SIZE = 1 << 20


def find_used_part(folder: Path, role: str) -> Path | None:
    """The part of `folder` that a role uses: all of it, of a policy the model alone; None where that is missing."""
    if role not in POLICY_ROLES:
        return folder
    sealed = checkpoint.read_manifest(folder)
    parts = (folder, folder / MODEL_FOLDER, *([folder / sealed.model] if sealed else []))
    return next((part for part in parts if not _list_missing_files(part)), None)


def explain_no_policy(folder: Path) -> str:
    """Why there is no policy in `folder`, and on a second line what to type where that is known."""
    part = folder / MODEL_FOLDER if (folder / MODEL_FOLDER).is_dir() else folder
    if (part / ADAPTER_CONFIG).is_file():
        return f"{part} holds a PEFT adapter, not a policy: merge it into its base policy first."
    missing = _list_missing_files(part)
    sentence = f"{part} holds no policy: {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing."
    near = next(_find_policies_below(folder), None)
    return f"{sentence}\n--policy-path {near}" if near else sentence


def find_corruption(part: Path, role: str) -> str:
    """Why a checkpoint that was sealed is not what was saved, as a sentence without a full stop.

    Empty when every byte is, and when nobody sealed it. Of a policy only the model counts: the rest may be thrown away.
    """
    for folder in (part, part.parent):
        sealed = checkpoint.read_manifest(folder)
        if sealed and role not in POLICY_ROLES:
            return checkpoint.validate_checkpoint(folder) if folder == part else ""
        if sealed and folder / sealed.model == part:
            return next(_find_changed_files(folder, sealed), "")
    return ""


def _list_missing_files(part: Path) -> list[str]:
    return [name for name in POLICY_FILES if not (part / name).is_file()]


def _find_policies_below(folder: Path) -> Iterator[Path]:
    """Checkpoints with a policy, the newest first, where a training leaves them below its own folder."""
    for parent in (folder, folder / "checkpoints", folder / "outputs" / "checkpoints"):
        yield from (path for _, path in checkpoint.list_checkpoints(parent) if find_used_part(path, "policy"))


def _find_changed_files(folder: Path, sealed: checkpoint.CheckpointManifest) -> Iterator[str]:
    """Which files of the model are not what was saved."""
    for path, digest in sealed.files.items():
        if not sealed.model or path.startswith(f"{sealed.model}/"):
            try:
                if _digest_file(folder / path) != digest:
                    yield f"{folder / path} is not what was saved"
            except OSError as error:
                yield f"{folder / path} cannot be read: {error.strerror}"


def _digest_file(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            found.update(chunk)
    return found.hexdigest()
