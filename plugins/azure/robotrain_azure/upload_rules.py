"""Which files of a local folder are uploaded, and what prevents the upload."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.model.amounts import format_size
from robotrain.model.plan import Plan
from robotrain.redaction import holds_secret
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.local_path import folder_content, pin

MAX_NAMES = 3


@dataclass(frozen=True, slots=True)
class FolderContent:
    """What lies in a folder. files: the size of each that is sent, by its path. kept: what is not, by `listing`; a
    checkpoint's seal is sent, though its digest is not of it.

    odd: what is no file and no folder: links, which may lead anywhere and of which `osmo` sends some as copies and
    leaves out others, and pipes, which would be read for ever.
    """

    files: dict[str, int]
    unsupported: tuple[str, ...]
    excluded: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes that are sent."""
        return sum(self.files.values())

    def __str__(self) -> str:
        left_out = (
            f" ({summarize_names(self.excluded)} {'stay' if self.excluded[1:] else 'stays'} here)"
            if self.excluded
            else ""
        )
        return f"{format_file_count(len(self.files))}, {format_size(self.size)}{left_out}"


def scan_folder(folder: Path) -> FolderContent:
    """What lies below `folder`. Raises OSError."""
    files: dict[str, int] = {}
    odd: list[str] = []
    kept: list[str] = []
    for path, entry in folder_content.list_entries(folder, kept.append):
        if entry.is_file(follow_symlinks=False):
            files[path] = entry.stat(follow_symlinks=False).st_size
        else:
            odd.append(path)
    return FolderContent(files, tuple(odd), tuple(kept))


def select_uploaded_part(plan: Plan, path: str) -> Path:
    """What is sent of a folder that a plan names: of a policy the model alone, which is also what its pin is of."""
    folder = Path(path)
    roles = [source.role for source in plan.job.sources if source.uri == path]
    return (len(roles) == 1 and folder_content.find_used_part(folder, roles[0])) or folder


def find_pin_mismatches(plan: Plan, path: str) -> Iterator[str]:
    """Why a folder is not what a plan expects it to be, by its pins: whoever reads it would refuse it."""
    for source in plan.job.sources:
        if source.pin and source.uri == path:
            try:
                why = pin.check_pin(select_uploaded_part(plan, path), source.pin)
            except OSError as error:
                why = f"{error.filename} cannot be read: {error.strerror}."
            if why:
                yield why


def select_uploaded_sources(plan: Plan, uploaded: Collection[tuple[str, str]]) -> list[JobSource]:
    """The folders of a plan that lie uploaded as they were pinned. uploaded: the path of each, and the digest that its
    address ends with.
    """
    pinned = (
        (source, folder_content.parse_pin(source.pin)) for source in plan.job.sources if source.kind == "local_path"
    )
    return [source for source, told in pinned if told and (source.uri, told.hex) in uploaded]


def check_upload(path: str, flag: str, folder: Path, stage: Stage, platform: str) -> Iterator[Problem]:
    """Why a folder cannot be uploaded. path, flag: as it was typed. folder: that one, or the part of it that is used.
    who: the platform, in words.
    """
    problem = partial(_make_problem, stage, flag, path)
    try:
        found = scan_folder(folder)
    except OSError as error:
        yield problem("upload-unreadable", "what is to be uploaded cannot be read", _format_error(error))
        return
    if found.unsupported:
        why = f"{platform} uploads files and no links: {summarize_names(found.unsupported)}."
        copied = Suggestion(f"cp -rL {shlex.quote(path)} FOLDER", "a copy with the files themselves, to name instead")
        yield problem("upload-links", "the folder holds more than files and folders", why, copied)
    elif not found.files:
        yield problem("upload-empty", "the folder holds no file", f"{platform} would bring nothing.")


def summarize_names(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - MAX_NAMES} more" if names[MAX_NAMES:] else ""
    return f"{', '.join(names[:MAX_NAMES])}{more}"


def format_file_count(files: int) -> str:
    """`1 file`, `3 files`."""
    return f"{files} file{'' if files == 1 else 's'}"


def _format_error(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}."


def _make_problem(stage: Stage, flag: str, path: str, code: str, title: str, why: str, *instead: Suggestion) -> Problem:
    return Problem(code=code, stage=stage, title=title, where=flag, given=path, why=why, suggestions=instead)


TEXT_SUFFIXES = ("", ".cfg", ".ini", ".json", ".jsonl", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml")
MAX_TEXT_BYTES = 64 << 10
"""Bytes of a file that is looked into."""


def check_upload_secrets(path: str, flag: str, folder: Path, stage: Stage) -> Iterator[Problem]:
    """A warning that names the files, and nothing of what they hold. path, flag, folder: as of `sendable.problems`."""
    if found := [name for name in _list_text_files(folder) if _has_secret(folder / name)]:
        renamed = f"mv {shlex.quote(found[0])} {shlex.quote(_hide_name(found[0]))}"
        yield Problem(
            code="upload-secret",
            stage=stage,
            title="what is uploaded holds what looks like a secret",
            where=flag,
            given=path,
            why=f"{summarize_names(found)}: whoever may read the storage can read it there.",
            suggestions=(Suggestion(renamed, "what begins with a dot stays here"),),
            severity="warning",
        )


def _hide_name(name: str) -> str:
    return str(PurePosixPath(name).with_name(f".{PurePosixPath(name).name}"))


def _list_text_files(folder: Path) -> list[str]:
    try:
        files = scan_folder(folder).files
    except OSError:  # that is told by whoever uploads it
        return []
    return [
        name
        for name, size in files.items()
        if size <= MAX_TEXT_BYTES and PurePosixPath(name).suffix.lower() in TEXT_SUFFIXES
    ]


def _has_secret(file: Path) -> bool:
    try:
        return holds_secret(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False
