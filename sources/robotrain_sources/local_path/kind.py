"""Declares `local_path`: folders of the machine that runs the job."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain.hookspecs import hook
from robotrain.source import Pinning, RoleFlag, Source, SourceError, SourceKind

from robotrain_sources.local_path import folder
from robotrain_sources.roles import RESUME

_MEANT = r"(?i)\s*(?:/(?!/)|\.\.?(?:/|$)|~|file:)"


def recognises(text: str) -> bool:
    """Whether the text looks like a path."""
    return bool(re.match(_MEANT, text))


def parse(text: str, base: Path) -> folder.Folder:
    """The folder that `text` names, a relative one below `base`. Raises SourceError."""
    try:
        return folder.parse(text, base)
    except folder.FolderError as refused:
        raise SourceError(refused.why, refused.instead) from None


def pinned(source: Source, role: str) -> str:
    """What the folder holds now. Raises SourceError."""
    from robotrain_sources.local_path import pin

    return pin.now(source, role)


def gone(source: Source, role: str, pinned: str) -> str:
    """Why what was pinned is not there any more. Raises SourceError."""
    from robotrain_sources.local_path import pin

    return pin.gone(source, role, pinned)


def lacks(source: Source, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Those of some paths that are surely not in the folder."""
    from robotrain_sources.local_path import pin

    return pin.lacks(source, role, paths)


KIND = SourceKind(
    name=folder.Folder.kind,
    title="local folders",
    form=folder.FORM,
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
    recognises=recognises,
    parse=parse,
    half="robotrain_sources.local_path.container",
    pinning=Pinning(now=pinned, gone=gone, lacks=lacks),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
