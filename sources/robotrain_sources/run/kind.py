"""Declares `run`: the policy that an earlier run trained."""

import re
from collections.abc import Iterable
from pathlib import Path

from robotrain.model.source import RoleFlag, Source, SourceKind
from robotrain.plugins.hookspecs import hook

_HINT = r"\s*[a-z][a-z0-9-]*-[0-9a-f]{8}-[0-9]+(?:@\S*)?\s*$"


def recognizes(text: str) -> bool:
    """Whether the text looks like the whole name of a run."""
    return bool(re.match(_HINT, text))


def parse_source(text: str, base: Path) -> Source:
    """The source that a checkpoint of the run is, of the kind that reads it. Raises SourceError."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup.find_checkpoint_source(text)


def describe_meaning(text: str, source: Source) -> str:
    """The run and the step that a text stood for when it was parsed."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup.describe_checkpoint(text, source)


def complete_run_name(incomplete: str) -> list[str]:
    """`latest` and the runs, newest first."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup.complete_run_name(incomplete)


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
            complete=complete_run_name,
        )
    },
    recognizes=recognizes,
    parse=parse_source,
    describe_meaning=describe_meaning,
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
