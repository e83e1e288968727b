"""The files of a code folder that are sent: no ignored files, no secrets, and no links that lead out of it.

What `.gitignore`, `.amlignore` and `.robotrainignore` name stays here, in the folder, below it, and above it up to the
root of its repository; the user's own excludes of git are not read, so that the same folder sends the same files on
every machine. Names that begin with a dot stay here too. What robotrain wrote stays here, unless a
`.robotrainignore` names it with a `!` (`written_files`). The rest is staged in a copy, which pins and uploads read like
any other folder.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.files import make_atomically

from robotrain.slow_notice import SlowNotice
from robotrain.store import files, written_files
from robotrain.store.secret_files import has_secret_name

IGNORE_FILES = (".gitignore", ".amlignore", ".robotrainignore")
"""The last one that says something of a name decides, as does that of the folder nearest to it."""
OWN_IGNORE_FILE = IGNORE_FILES[-1]
MAX_FILES = 20_000
MAX_BYTES, LARGE_BYTES = 100_000_000, 20_000_000
"""Code of more bytes is refused, or warned of."""
MAX_NAMES = 100_000
"""Names that are looked at, ignored ones included: a folder that an ignore file names counts as one."""
MIN_STAGED, MAX_STAGED, MAX_STAGED_BYTES = 4, 64, 200_000_000
"""The staged copies of one folder that are kept in any case; those that runs had, while they need no more space."""


class CodeTooLarge(OSError):
    """A folder of code has more files or bytes than are sent."""


@dataclass(slots=True)
class CodeContent:
    """The content of a folder of code, by paths in it, in a fixed order."""

    files: dict[str, str] = field(default_factory=dict)
    """The real path of each file that is sent."""
    sizes: dict[str, int] = field(default_factory=dict)
    """The bytes of each file that is sent."""
    secrets: list[str] = field(default_factory=list)
    """Of the files that are sent, those whose names say that they hold secrets: `code_rules` refuses them."""
    links: list[str] = field(default_factory=list)
    """Links out of the folder or to a folder, and special files."""
    size: int = 0
    """The bytes that are sent."""
    has_more_names: bool = False
    """Whether there are more than `MAX_NAMES` names, ignored ones included."""

    @property
    def is_too_large(self) -> bool:
        """Whether it is more than code may be: then only a part was looked at."""
        return self.has_more_names or self.size > MAX_BYTES or len(self.files) > MAX_FILES


def scan_folder(folder: Path, *, is_staged: bool = False) -> CodeContent:
    """Return the content of a folder; of one that is too large only what is seen until that is certain. Raise OSError.

    :param is_staged: whether it is a staged copy. Of that, and of a commit that was fetched, everything is sent.
    """
    content = CodeContent()
    root = os.path.realpath(folder)
    notice = SlowNotice(f"reading the names of the folder of code {folder}")
    is_whole = is_staged or is_commit(root)
    repository_path, ignore_rules = ("", None) if is_whole else _read_ignore_files_above(root)
    for count, (path, entry) in enumerate(_refuse_depth(_list_entries(root, "", repository_path, ignore_rules))):
        notice.update(count)
        content.has_more_names = count >= MAX_NAMES
        if content.is_too_large:
            break
        if entry is None:
            continue
        real_path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        is_outside = entry.is_symlink() and not real_path.startswith(root + os.sep)
        if is_outside or not entry.is_file():
            content.links.append(path)
        else:
            if has_secret_name(entry.name) or has_secret_name(os.path.basename(real_path)):
                content.secrets.append(path)
            content.files[path] = real_path
            content.sizes[path] = entry.stat().st_size
            content.size += content.sizes[path]
    return content


def _refuse_depth(entries: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    try:
        yield from entries
    except RecursionError:
        raise OSError(errno.ENAMETOOLONG, "Folders are nested too deeply") from None


IgnoreRules = tuple[tuple[str, Any], ...]
"""Folders, as paths from the top with `/` at their end, and the rules of an ignore file in each."""


def _read_ignore_files_above(folder: str) -> tuple[str, IgnoreRules]:
    """Return the folder's path from the root of its repository, with `/` at its end, and the rules above it.

    Both are empty outside a repository, in its root, and in a folder that the rules name: it was asked for by name.
    """
    path = Path(folder)
    root = find_repository_root(folder)
    ignore_rules: IgnoreRules = ()
    if root == path:
        return "", ()
    for parent in [parent for parent in reversed(path.parents) if parent.is_relative_to(root)]:
        repository_path = "" if parent == root else f"{parent.relative_to(root).as_posix()}/"
        for name in IGNORE_FILES:
            if (parent / name).is_file():
                with contextlib.suppress(OSError):
                    ignore_rules = _add_rules(ignore_rules, repository_path, str(parent / name))
    parts = path.relative_to(root).parts
    if any(_is_ignored(f"{'/'.join(parts[: end + 1])}/", ignore_rules) for end in range(len(parts))):
        return "", ()
    return f"{'/'.join(parts)}/", ignore_rules


def find_repository_root(folder: str) -> Path:
    """Return the root of the repository that a folder is in; outside one the folder itself."""
    path = Path(folder)
    return next((folder for folder in (path, *path.parents) if os.path.lexists(folder / ".git")), path)


def _add_rules(ignore_rules: IgnoreRules, repository_path: str, file: str) -> IgnoreRules:
    with open(file, encoding="utf-8", errors="replace") as rules_file:
        return (*ignore_rules, (repository_path, _parse_rules(rules_file.readlines())))


def _parse_rules(rule_lines: list[str]) -> Any:
    """Return the rules of an ignore file, without lines that are no pattern, such as `!` alone, as git does."""
    from pathspec import GitIgnoreSpec  # costs start-up

    try:
        with warnings.catch_warnings(action="ignore"):  # of expressions that a pattern becomes
            return GitIgnoreSpec.from_lines(rule_lines)
    except (ValueError, re.error):
        if len(rule_lines) > 1:
            return sum((_parse_rules([rule_line]) for rule_line in rule_lines), GitIgnoreSpec([]))
        return GitIgnoreSpec([])


def _is_ignored(path: str, ignore_rules: IgnoreRules) -> bool | None:
    """Return whether the rules leave a path out; None if they say nothing of it."""
    for rules_folder, rules in reversed(ignore_rules):
        if (is_match := rules.check_file(path.removeprefix(rules_folder)).include) is not None:
            return bool(is_match)
    return None


def _list_entries(
    folder: str, parent_path: str, above: str, ignored: IgnoreRules | None, downloads: frozenset[str] = frozenset()
) -> Iterator[tuple[str, os.DirEntry[str] | None]]:
    """Yield path and entry of everything below a folder, without an entry for folders and for what is ignored.

    :param ignored: None if nothing is ignored.
    :param downloads: the paths of outputs that were downloaded to the folders above.
    """
    downloads |= {f"{parent_path}{name}" for name in written_files.read_downloads(folder)}
    with os.scandir(folder) as entries:
        visible_entries = (entry for entry in entries if not entry.name.startswith(".") and entry.name != "__pycache__")
        ordered_entries = sorted(islice(visible_entries, MAX_NAMES + 1), key=lambda entry: os.fsencode(entry.name))
    for file in (os.path.join(folder, name) for name in IGNORE_FILES):
        if ignored is not None and os.path.isfile(file):
            ignored = _add_rules(ignored, f"{above}{parent_path}", file)
    for entry in ordered_entries:
        path = f"{parent_path}{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        name = f"{above}{path}/" if is_folder else f"{above}{path}"
        is_ignored = False if ignored is None else _is_ignored(name, ignored)
        if is_ignored is None:
            is_own = written_files.is_written_folder if is_folder else written_files.is_written_file
            is_ignored = path in downloads or is_own(entry.path)
        if is_ignored:
            yield path, None
        elif is_folder:
            yield path, None  # it counts, even if it is empty
            yield from _list_entries(entry.path, f"{path}/", above, ignored, downloads)
        else:
            yield path, entry


def stage_folder(folder: Path, pin: str = "") -> Path:
    """Return a copy of the files that are sent: the one of an earlier call if no file changed since. Raise OSError.

    :param pin: the copy that was pinned so is preferred, whatever changed since; copies of the last contents are kept.
    """
    if pin and (pinned_copy := find_staged_copy(folder, pin)):
        return pinned_copy
    parent = _get_copies_folder(folder)
    code_content = scan_folder(folder)
    if code_content.is_too_large:
        raise CodeTooLarge(errno.EFBIG, "More files or bytes than code may have", str(folder))
    hasher = hashlib.sha256()
    for path, real_path in code_content.files.items():
        status = os.stat(real_path)
        hasher.update(b"%s\0%d\0%d\0%d\n" % (os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ino))
    target = parent / hasher.hexdigest()[:32]
    if target.is_dir():
        return target
    try:
        with make_atomically(target) as scratch:
            scratch.mkdir()
            for path, real_path in code_content.files.items():
                (scratch / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(real_path, scratch / path)
    except OSError:
        if not target.is_dir():  # else another command staged it meanwhile
            raise
    _remove_old_copies(parent, target)
    return target


def stage_file(file: Path) -> Path:
    """Return a folder with nothing but a file, for uploads that take folders. Raise OSError."""
    real_path = os.path.realpath(file)
    status = os.stat(real_path)
    key = hashlib.sha256(
        b"%s\0%s\0%d\0%d" % (os.fsencode(real_path), os.fsencode(file.name), status.st_size, status.st_mtime_ns)
    )
    target = files.get_cache_folder() / "files" / key.hexdigest()[:32]
    if not target.is_dir():
        with make_atomically(target) as scratch:
            scratch.mkdir()
            try:
                os.link(real_path, scratch / file.name)
            except OSError:  # another disk
                shutil.copy(real_path, scratch / file.name)
    return target


def _remove_old_copies(parent: Path, newest_copy: Path) -> None:
    """Remove the oldest copies of a folder. Those that were pinned are kept for longer: runs are repeated with them."""
    other_copies = [copy for copy in parent.iterdir() if copy != newest_copy and not copy.name.startswith(".")]
    size = 0
    for count, old_copy in enumerate(sorted(other_copies, key=lambda copy: copy.stat().st_mtime, reverse=True), 2):
        size += _read_pinned_size(old_copy)
        if count <= MIN_STAGED or (count <= MAX_STAGED and size <= MAX_STAGED_BYTES):
            continue
        shutil.rmtree(old_copy, ignore_errors=True)
        for companion in (_get_pin_file(old_copy), get_difference_file(old_copy)):
            companion.unlink(missing_ok=True)


def _read_pinned_size(staged_copy: Path) -> int:
    """Return the bytes of a copy by its pin, `folder:…:BYTES`; more than are kept if it was not pinned."""
    try:
        return int(_get_pin_file(staged_copy).read_text(encoding="ascii").rpartition(":")[2])
    except (OSError, ValueError):
        return MAX_STAGED_BYTES + 1


def get_commits_folder() -> Path:
    """Return the folder of the commits of repositories that were fetched to be sent."""
    return files.get_cache_folder() / "git"


def is_commit(folder: str) -> bool:
    """Return whether a folder is a commit, or in one, that was fetched to be sent."""
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(get_commits_folder()))


def _get_copies_folder(folder: Path) -> Path:
    return files.get_cache_folder() / "code" / hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]


def find_staged_copy(folder: Path, pin: str) -> Path | None:
    """Return the copy of a folder that was pinned so; None if it is not kept any more."""
    parent = _get_copies_folder(folder)
    copies = [copy for copy in parent.iterdir() if not copy.name.startswith(".")] if parent.is_dir() else []
    for copy in copies:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if _get_pin_file(copy).read_text(encoding="ascii") == pin:
                return copy
    return None


def _get_pin_file(staged_copy: Path) -> Path:
    return staged_copy.with_name(f".{staged_copy.name}.pin")


def get_difference_file(staged_copy: Path) -> Path:
    """Return the file beside a staged copy with its difference from the commit of its repository."""
    return staged_copy.with_name(f".{staged_copy.name}.diff")


def load_or_compute_pin(staged_copy: Path, compute: Callable[[], str]) -> str:
    """Return the pin of a staged copy, whose files never change: computed once. Raise OSError."""
    file = _get_pin_file(staged_copy)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="ascii")
    pin = compute()
    files.write_atomically(file, pin.encode())
    return pin
