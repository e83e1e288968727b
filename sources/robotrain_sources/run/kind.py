"""The source kind `run`: the policy that an earlier run trained."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from robotrain.model.source import RoleFlag, Source, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.role_flags import CHECKPOINT

POLICY_FLAG = "--policy-run"
_HINT = r"\s*latest\s*$|\s*[a-z][a-z0-9-]*-[0-9a-f]{8}-[0-9]+(?:@\S*|:policy)?\s*$"


def recognize_run(run_text: str) -> bool:
    """Return whether a text means a run: by its identifier, or as `name_index.names_run` says."""
    if re.match(_HINT, run_text):
        return True
    from robotrain.store import name_index

    return name_index.names_run(run_text.partition("@")[0])


def parse_source(text: str, base: Path) -> Source:
    """Return the source of the run's checkpoint, of the kind that reads it. Raise SourceError."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup.find_checkpoint_source(text)


def parse_in_role(role: str, run_text: str, base: Path) -> Source:
    """Return the source of the run's checkpoint; `latest` is the newest run that has what the role takes."""
    from robotrain_sources.run import checkpoint_lookup

    flag = CHECKPOINT.flag if role == "checkpoint" else POLICY_FLAG
    return checkpoint_lookup.find_checkpoint_source(run_text, flag)


def describe_meaning(run_text: str, source: Source) -> str:
    """Return the run and step that a text meant when it was parsed."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup.describe_checkpoint(run_text, source)


def find_job(text: str) -> Any:
    """Return the job of the run that a text meant when it was parsed; None for none."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup.find_job(text)


def complete_run_name(incomplete: str) -> list[str]:
    """Return `latest` and the run names, newest first."""
    from robotrain_sources.run import checkpoint_lookup

    return checkpoint_lookup.complete_run_name(incomplete)


KIND = SourceKind(
    name="run",
    title="runs of robotrain",
    form="RUN[@STEP]",
    help="The last checkpoint of an earlier run, or that of a step; `latest` is the newest run with a checkpoint.",
    roles={
        "policy": RoleFlag(
            POLICY_FLAG,
            repeatable=False,
            help="A run whose policy to fine-tune or to evaluate: its last checkpoint, or that of a step. `latest` is "
            "the newest run with a policy.",
            common=True,
            complete=complete_run_name,
        ),
        "reference": RoleFlag(
            "--reference-run",
            help="A run whose policy the evaluated one is compared with: its last checkpoint, or that of a step.",
            complete=complete_run_name,
        ),
        "checkpoint": CHECKPOINT,
        "backbone": RoleFlag(
            "--backbone-run",
            help="A run whose policy is the base of an adapter: its last checkpoint, or that of a step; RUN:policy is "
            "the policy that the run started from.",
            form="RUN[@STEP]",
            complete=complete_run_name,
        ),
    },
    recognizes=recognize_run,
    all_checkpoints="@all",
    parse=parse_source,
    parse_in_role=parse_in_role,
    describe_meaning=describe_meaning,
    find_job=find_job,
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
