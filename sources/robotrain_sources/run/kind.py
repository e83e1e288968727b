"""The source kind `run`: the policy that an earlier run trained."""

import os.path
import re
from collections.abc import Iterable
from types import ModuleType

from robotrain.model.source import RoleFlag, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.role_flags import CHECKPOINT

_HINT = r"\s*latest\s*$|\s*[a-z][a-z0-9-]*-[0-9a-f]{8}-[0-9]+(?:@\S*)?\s*$"
_NAME = r"([A-Za-z0-9][A-Za-z0-9._-]{0,79})(?:@\S*)?"


def recognize_run(text: str) -> bool:
    """Return whether a text means a run: by its identifier, or, unless a file here has that name, by its name."""
    if re.match(_HINT, text):
        return True
    if not (name := re.fullmatch(_NAME, text)) or os.path.exists(text):
        return False
    from robotrain.store import name_index

    return text == "last" or bool(name_index.find_named_runs(name[1]))


def _import_lookup() -> ModuleType:
    """Import the lookup of checkpoints, which needs all plugins, when a text is parsed or completed."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup


KIND = SourceKind(
    name="run",
    title="runs of robotrain",
    form="RUN[@STEP]",
    help="The last checkpoint of an earlier run, or that of a step; `latest` is the newest run with a checkpoint.",
    roles={
        "policy": RoleFlag(
            "--policy-run",
            repeatable=False,
            help="A run whose policy to fine-tune or to evaluate: its last checkpoint, or that of a step; `latest` is "
            "the newest run with a checkpoint.",
            complete=lambda incomplete: _import_lookup().complete_run_name(incomplete),
        ),
        "checkpoint": CHECKPOINT,
    },
    recognizes=recognize_run,
    parse=lambda text, base: _import_lookup().find_checkpoint_source(text),
    describe_meaning=lambda text, source: _import_lookup().describe_checkpoint(text, source),
    find_related=lambda text, role: _import_lookup().find_related_sources(text, role),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
