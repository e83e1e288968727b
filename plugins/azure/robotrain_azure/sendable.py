"""A folder of this machine as it is uploaded: which files, and why it cannot be sent."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from robotrain.amounts import size
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Stage
from robotrain_runtime.document import Source
from robotrain_sources.local_path import digest, listing, policy

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Content:
    """What lies in a folder. files: the size of each that is sent, by its path. kept: what is not, by `listing`; a
    checkpoint's seal is sent, though its digest is not of it.

    odd: what is no file and no folder: links, which may lead anywhere and of which `osmo` sends some as copies and
    leaves out others, and pipes, which would be read for ever.
    """

    files: dict[str, int]
    odd: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes that are sent."""
        return sum(self.files.values())

    def __str__(self) -> str:
        left_out = f" ({some(self.kept)} {'stay' if self.kept[1:] else 'stays'} here)" if self.kept else ""
        return f"{counted(len(self.files))}, {size(self.size)}{left_out}"


def content(folder: Path) -> Content:
    """What lies below `folder`. Raises OSError."""
    files: dict[str, int] = {}
    odd: list[str] = []
    kept: list[str] = []
    for path, entry in listing.entries(folder, kept.append):
        if entry.is_file(follow_symlinks=False):
            files[path] = entry.stat(follow_symlinks=False).st_size
        else:
            odd.append(path)
    return Content(files, tuple(odd), tuple(kept))


def part(plan: Plan, path: str) -> Path:
    """What is sent of a folder that a plan names: of a policy the model alone, which is also what its pin is of."""
    folder = Path(path)
    roles = [source.role for source in plan.job.sources if source.uri == path]
    return (len(roles) == 1 and policy.used(folder, roles[0])) or folder


def unlike(plan: Plan, path: str) -> Iterator[str]:
    """Why a folder is not what a plan expects it to be, by its pins: whoever reads it would refuse it."""
    for source in plan.job.sources:
        if source.pin and source.uri == path:
            try:
                why = digest.unlike(part(plan, path), source.pin)
            except OSError as error:
                why = f"{error.filename} cannot be read: {error.strerror}."
            if why:
                yield why


def pinned_as(plan: Plan, uploaded: Collection[tuple[str, str]]) -> list[Source]:
    """The folders of a plan that lie uploaded as they were pinned. uploaded: the path of each, and the digest that its
    address ends with.
    """
    pinned = ((source, digest.read(source.pin)) for source in plan.job.sources if source.kind == "local_path")
    return [source for source, told in pinned if told and (source.uri, told.hex) in uploaded]


def problems(path: str, flag: str, folder: Path, stage: Stage, who: str) -> Iterator[Problem]:
    """Why a folder cannot be uploaded. path, flag: as it was typed. folder: that one, or the part of it that is used.
    who: the platform, in words.
    """
    problem = partial(_problem, stage, flag, path)
    try:
        found = content(folder)
    except OSError as error:
        yield problem("upload-unreadable", "what is to be uploaded cannot be read", _why(error))
        return
    if found.odd:
        why = f"{who} uploads files and no links: {some(found.odd)}."
        copied = Instead(f"cp -rL {shlex.quote(path)} FOLDER", "a copy with the files themselves, to name instead")
        yield problem("upload-links", "the folder holds more than files and folders", why, copied)
    elif not found.files:
        yield problem("upload-empty", "the folder holds no file", f"{who} would bring nothing.")


def some(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if names[SHOWN:] else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def counted(files: int) -> str:
    """`1 file`, `3 files`."""
    return f"{files} file{'' if files == 1 else 's'}"


def _why(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}."


def _problem(stage: Stage, flag: str, path: str, code: str, title: str, why: str, *instead: Instead) -> Problem:
    return Problem(code=code, stage=stage, title=title, where=flag, given=path, why=why, instead=instead)
