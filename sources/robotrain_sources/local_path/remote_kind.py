"""The source kind `remote_path`: folders of a cluster that the user's ssh reaches, which its jobs read in place."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from robotrain.model.source import REMOTE_KIND, Source, SourceKind
from robotrain.model.support import ANY, no
from robotrain.plugins.hookspecs import hook

from robotrain_sources.local_path import kind as local_path
from robotrain_sources.local_path.remote_folder import FORM, is_remote, parse_remote_folder


def parse_source(text: str, base: Path) -> Source:
    """Return the folder of another machine, or of this one if the text names no host. Raise SourceError."""
    return parse_remote_folder(text) if is_remote(text) else local_path.parse_folder(text, base)


KIND = SourceKind(
    name=REMOTE_KIND,
    title="folders of a cluster",
    form=FORM,
    example="me@login.lab.example:/scratch/episodes",
    help="A folder of the cluster that --login reaches.",
    roles={
        role: replace(flag, recognizes=None, source_form=FORM, copy_form="")
        for role, flag in local_path.KIND.roles.items()
        if role != "code"
    },
    recognizes=is_remote,
    parse=parse_source,
    unsupported={
        ANY: no("Only a cluster that is reached by ssh has such a folder.", "--platform slurm --login HOST"),
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
