"""Declares `run`: the policy that an earlier run trained."""

import re
from collections.abc import Iterable
from pathlib import Path

from robotrain.hookspecs import hook
from robotrain.source import RoleFlag, Source, SourceKind

_MEANT = r"\s*[a-z][a-z0-9-]*-[0-9a-f]{8}-[0-9]+(?:@\S*)?\s*$"


def recognises(text: str) -> bool:
    """Whether the text looks like the whole name of a run."""
    return bool(re.match(_MEANT, text))


def parse(text: str, base: Path) -> Source:
    """The source that a checkpoint of the run is, of the kind that reads it. Raises SourceError."""
    from robotrain_sources.run import checkpoint

    return checkpoint.find(text)


def meant(text: str, source: Source) -> str:
    """The run and the step that a text stood for when it was parsed."""
    from robotrain_sources.run import checkpoint

    return checkpoint.told(text, source)


def known(incomplete: str) -> list[str]:
    """`latest` and the runs, newest first."""
    from robotrain_sources.run import left

    return left.named(incomplete)


KIND = SourceKind(
    name="run",
    title="runs of robotrain",
    form="RUN[@STEP]",
    help="The last checkpoint of an earlier run, or that of a step; `latest` is the newest run that left one.",
    roles={
        "policy": RoleFlag(
            "--policy-run",
            repeatable=False,
            help="A run whose policy to go on from, or to evaluate: its last checkpoint, or a step's; `latest` is the "
            "newest run that left one.",
            known=known,
        )
    },
    recognises=recognises,
    parse=parse,
    meant=meant,
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
