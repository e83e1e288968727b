"""Declares `local_path`, folders of the machine that runs the job: the typed reference, its parser, the kind."""

import os.path
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from robotrain.model.source import Pinning, RoleFlag, Source, SourceError, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.role_flags import RESUME

FORM = "FOLDER"

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_URL = r"(?i)azureml:|file:|[a-z][a-z0-9+.-]+:[/\\]|(?://)?[^/?#\s]+\.(?:blob|dfs|file)\.core\."
_FILE_URL = r"(?i)file:(?://(?:localhost)?)?(/[^/?#%][^?#%]*)"


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """An absolute path in its one normal form; whether anything lies there is not asked here."""

    kind: ClassVar[str] = "local_path"

    path: str

    def __str__(self) -> str:
        return self.path


class LocalFolderError(ValueError):
    """Why a text names no folder, and what to type instead where that is known."""

    def __init__(self, why: str, suggestion: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.suggestion = suggestion


def parse_folder(text: str, base: Path) -> LocalFolder:
    """The folder that `text` names, a relative one below `base`. Raises FolderError."""
    if not text.strip():
        raise LocalFolderError("The path is empty.")
    if re.search(_CONTROL, text):
        raise LocalFolderError("A path holds no control characters, and is valid Unicode.")
    if re.match(_URL, text.lstrip()):
        _raise_is_url(text.strip())
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise LocalFolderError(
            "There is no such user on this machine; a folder whose name begins with `~` follows `./`."
        )
    path = os.path.normpath(os.path.join(os.path.abspath(base), expanded))
    return LocalFolder("/" + path.lstrip("/") if path.startswith("//") else path)


def _raise_is_url(text: str) -> NoReturn:
    if local := re.fullmatch(_FILE_URL, text):
        raise LocalFolderError("Type the path alone, without `file:`.", os.path.normpath(local[1]))
    raise LocalFolderError("An address is no folder of this machine.")


_MEANT = r"(?i)\s*(?:/(?!/)|\.\.?(?:/|$)|~|file:)"


def recognizes(text: str) -> bool:
    """Whether the text looks like a path."""
    return bool(re.match(_MEANT, text))


def parse_source(text: str, base: Path) -> LocalFolder:
    """The folder that `text` names, a relative one below `base`. Raises SourceError."""
    try:
        return parse_folder(text, base)
    except LocalFolderError as refused:
        raise SourceError(refused.why, refused.suggestion) from None


def resolve_pin(source: Source, role: str) -> str:
    """What the folder holds now. Raises SourceError."""
    from robotrain_sources.local_path import pin

    return pin.compute_pin(source, role)


def find_loss(source: Source, role: str, digest: str) -> str:
    """Why what was pinned is not there any more. Raises SourceError."""
    from robotrain_sources.local_path import pin

    return pin.find_change(source, role, digest)


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Those of some paths that are surely not in the folder."""
    from robotrain_sources.local_path import pin

    return pin.find_missing_paths(source, role, paths)


KIND = SourceKind(
    name=LocalFolder.kind,
    title="local folders",
    form=FORM,
    example="/data/episodes",
    help="A folder of the machine that runs the job.",
    roles={
        "dataset": RoleFlag("--dataset-path", help="A LeRobot dataset in a folder of the machine that runs the job."),
        "policy": RoleFlag(
            "--policy-path",
            repeatable=False,
            help="A trained policy to go on from, or to evaluate: its folder, or that of a checkpoint.",
        ),
        "resume": RESUME,
    },
    recognizes=recognizes,
    parse=parse_source,
    container_plugin="robotrain_sources.local_path.container",
    pinning=Pinning(resolve=resolve_pin, find_loss=find_loss, find_missing=find_missing_paths),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
