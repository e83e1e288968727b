"""The commit that a folder of code is at, and how the files that are sent differ from it.

The commit is read from the repository's files. Its objects are read by git through an empty repository of our own: no
configuration, hook, filter or attribute of the folder counts, because all of them can name programs.
"""

import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.files import read_limited_file

from robotrain.redaction import HIDDEN, value_holds_secret
from robotrain.store import files
from robotrain.store.code_folder import CodeContent, find_repository_root, get_difference_file, stage_folder

SECONDS = 5.0
MAX_METADATA = 16 << 20
MAX_DIFFERENCE = 1 << 20
"""Bytes of the difference that are kept."""
MAX_REFERENCES = 5
COMMIT_PATTERN = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LINK_MODE, SUBMODULE_MODE = "120000", "160000"
CUT_LINE = f"# robotrain keeps {MAX_DIFFERENCE >> 20} MiB of a difference: the rest is missing\n"


class WorkingTree(NamedTuple):
    """The working tree of git that a folder is in."""

    root: Path
    git: Path
    """Of this working tree: a repository can have several."""
    common: Path
    """Of the repository, with its objects."""


@dataclass(frozen=True, slots=True)
class CodeCommit:
    """The commit of a folder of code."""

    commit: str
    is_dirty: bool | None = None
    """Whether the files that are sent differ from it; None if that cannot be told."""
    difference: str = ""
    """As `git diff` prints it, without lines that look like secrets; empty for none."""


def find_working_tree(folder: Path) -> WorkingTree | None:
    """Return the working tree of a folder; None outside one, or if it is damaged."""
    root = find_repository_root(os.path.realpath(folder))
    git = root / ".git"
    try:
        if git.is_file():  # of a further working tree, or of a submodule
            git = root / _read_text(git).removeprefix("gitdir:").strip()
        common = git / _read_text(git / "commondir") if (git / "commondir").is_file() else git
    except (OSError, ValueError):
        return None
    return WorkingTree(root, git, common) if (git / "HEAD").is_file() else None


def read_commit(tree: WorkingTree) -> str:
    """Return the commit that is checked out; empty if there is none."""
    reference_text = ""
    with suppress(OSError, ValueError):
        reference_text = _read_text(tree.git / "HEAD")
        for _ in range(MAX_REFERENCES):
            if not reference_text.startswith("ref:"):
                break
            reference_text = _read_reference(tree, reference_text.removeprefix("ref:").strip())
    return reference_text if COMMIT_PATTERN.fullmatch(reference_text) else ""


def _read_reference(tree: WorkingTree, name: str) -> str:
    if not name.startswith("refs/") or ".." in name:
        return ""
    for folder in (tree.git, tree.common):
        if (folder / name).is_file():
            return _read_text(folder / name)
    for line in read_limited_file(tree.common / "packed-refs", MAX_METADATA).decode(errors="replace").splitlines():
        commit, _, packed_name = line.partition(" ")
        if packed_name == name:
            return commit
    return ""


def _read_text(path: Path) -> str:
    return read_limited_file(path, MAX_METADATA).decode(errors="replace").strip()


def save_difference(staged_copy: Path, commit: CodeCommit) -> None:
    """Write the difference of a staged copy beside it, for `store_difference`. Raise OSError."""
    files.write_private_file(get_difference_file(staged_copy), commit.difference.encode())


def store_difference(source: JobSource, file: Path) -> None:
    """Write how the code of a job differs from its commit to `file`, if it was saved."""
    with suppress(OSError):
        staged_copy = stage_folder(Path(source.uri), source.pin)
        files.write_private_file(file, get_difference_file(staged_copy).read_bytes())


def describe_commit(folder: Path, code_content: CodeContent, sent_copy: Path) -> CodeCommit | None:
    """Return the commit of a folder, and how what is sent differs from it; None outside a repository.

    :param code_content: of the folder.
    :param sent_copy: the copy of its files that is sent.
    """
    tree = find_working_tree(folder)
    commit = read_commit(tree) if tree else ""
    if not tree or not commit:
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="robotrain-code-") as scratch:
            return _CommitReader(tree, commit, Path(scratch)).compare(folder, code_content, sent_copy)
    except (OSError, ValueError, subprocess.SubprocessError):  # without git, or of a repository with parts elsewhere
        return CodeCommit(commit)


class _TrackedFile(NamedTuple):
    mode: str
    digest: str


class _CommitReader:
    """Reads one commit of a repository through an empty repository in `scratch`."""

    def __init__(self, tree: WorkingTree, commit: str, scratch: Path) -> None:
        self._tree, self._commit, self._scratch = tree, commit, scratch
        self._hash = "sha1" if len(commit) == 40 else "sha256"
        self._deadline = time.monotonic() + SECONDS
        (scratch / "objects/info").mkdir(parents=True)
        (scratch / "refs").mkdir()
        (scratch / "HEAD").write_text("ref: refs/heads/none\n")
        (scratch / "objects/info/alternates").write_text(f"{os.path.realpath(tree.common / 'objects')}\n")
        extension = "" if self._hash == "sha1" else "[extensions]\nobjectFormat = sha256\n"
        (scratch / "config").write_text(f"[core]\nrepositoryFormatVersion = 1\nbare = true\n{extension}")

    def compare(self, folder: Path, content: CodeContent, sent: Path) -> CodeCommit:
        """Return how the files in `sent` differ from the commit. Raise OSError, ValueError or SubprocessError."""
        prefix = Path(os.path.realpath(folder)).relative_to(self._tree.root).as_posix()
        tracked_files = self._list_files("" if prefix == "." else f"{prefix}/")
        changed_paths = [
            path
            for path in content.files
            if not self._is_unchanged(tracked_files.get(path), folder / path, sent / path)
        ]
        removed_paths = [
            path for path in tracked_files if path not in content.files and not os.path.lexists(folder / path)
        ]
        if not changed_paths and not removed_paths:
            return CodeCommit(self._commit, False)
        old_files = {path: tracked_files[path] for path in (*changed_paths, *removed_paths) if path in tracked_files}
        return CodeCommit(self._commit, True, self._format_difference(old_files, changed_paths, sent))

    def _list_files(self, prefix: str) -> dict[str, _TrackedFile]:
        """Return the files of the commit below a folder, which ends with `/`, by their paths in it."""
        output = self._run("ls-tree", "-r", "-z", "--full-tree", self._commit, *([prefix] if prefix else []))
        tracked_files = {}
        for entry in filter(None, output.split(b"\0")):
            facts, _, path = entry.partition(b"\t")
            mode, _, digest = facts.decode().split(" ")
            if mode != SUBMODULE_MODE:
                tracked_files[os.fsdecode(path).removeprefix(prefix)] = _TrackedFile(mode, digest)
        return tracked_files

    def _is_unchanged(self, tracked_file: _TrackedFile | None, path: Path, sent_copy: Path) -> bool:
        if tracked_file is None:
            return False
        if tracked_file.mode == LINK_MODE:
            return path.is_symlink() and self._digest(os.fsencode(os.readlink(path))) == tracked_file.digest
        file_bytes = sent_copy.read_bytes()
        return tracked_file.digest in (self._digest(file_bytes), self._digest(_make_lfs_pointer(file_bytes)))

    def _digest(self, text: bytes) -> str:
        return hashlib.new(self._hash, b"blob %d\0" % len(text) + text).hexdigest()

    def _format_difference(self, old: Mapping[str, _TrackedFile], changed: list[str], sent: Path) -> str:
        """Return the difference as `git diff` prints it: old files are written to `a`, those that are sent to `b`."""
        for folder in ("a", "b"):
            (self._scratch / folder).mkdir()
        remaining_bytes = MAX_DIFFERENCE
        for path, tracked_file in old.items():
            old_bytes = self._run("cat-file", "blob", tracked_file.digest) if remaining_bytes > 0 else b""
            remaining_bytes -= len(old_bytes)
            _write_file(self._scratch / "a" / path, old_bytes)
        for path in changed:
            new_bytes = (sent / path).read_bytes() if remaining_bytes > 0 else b""
            remaining_bytes -= len(new_bytes)
            _write_file(self._scratch / "b" / path, new_bytes)
        options = ("--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-prefix")
        output = self._run("diff", *options, "--", "a", "b", succeeds=(0, 1))
        difference = output[:MAX_DIFFERENCE].decode(errors="replace")
        if remaining_bytes <= 0 or len(output) > MAX_DIFFERENCE:
            difference = difference[: difference.rfind("\n") + 1] + CUT_LINE
        return "".join(_hide_secrets(difference))

    def _run(self, *arguments: str, succeeds: tuple[int, ...] = (0,)) -> bytes:
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._scratch),
            "GIT_DIR": str(self._scratch),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }
        git_process = subprocess.run(
            ["git", *arguments],
            cwd=self._scratch,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(0.1, self._deadline - time.monotonic()),
        )
        if git_process.returncode not in succeeds:
            raise ValueError("git cannot read the commit")
        return git_process.stdout


def _make_lfs_pointer(file_bytes: bytes) -> bytes:
    """Return what Git LFS keeps in a commit in place of a file's content."""
    digest = hashlib.sha256(file_bytes).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(file_bytes)}\n".encode()


def _write_file(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)


def _hide_secrets(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        yield f"{line[:1]}{HIDDEN}\n" if value_holds_secret(line) else line
