"""Declares `local_path`: folders of the machine that runs the job."""

import re
from collections.abc import Iterable
from pathlib import Path

from robotrain.hookspecs import hook
from robotrain.source import RoleFlag, SourceError, SourceKind

from robotrain_sources.local_path import folder

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


KIND = SourceKind(
    name=folder.Folder.kind,
    title="local folders",
    form=folder.FORM,
    help="A LeRobot dataset in a folder of the machine that runs the job.",
    roles={"dataset": RoleFlag("--dataset-path")},
    recognises=recognises,
    parse=parse,
    half="robotrain_sources.local_path.container",
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
