"""Declares `huggingface`: datasets and policies of the Hugging Face Hub."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook
from robotrain.source import Pinning, RoleFlag, Source, SourceError, SourceKind

from robotrain_sources.huggingface import repository

if TYPE_CHECKING:
    from robotrain.health import HealthCheck

_ADDRESS = r"(?i)\s*(?:hf:/|(?:(?:https?:)?//)?(?:[^/?#]*@)?(?:www\.)?(?:huggingface|hf)\.co/)"


def recognises(text: str) -> bool:
    """Whether the text is an address of the Hub, or `OWNER/NAME`."""
    name = text.strip().partition("@")[0]
    return bool(re.match(_ADDRESS, text)) or ("/" in name and repository.is_id(name))


def parse(text: str, base: Path) -> repository.Repository:
    """The repository that `text` names. Raises SourceError."""
    try:
        return repository.parse(text)
    except repository.RepositoryError as refused:
        raise SourceError(refused.why, refused.instead) from None


def pinned(source: Source, role: str) -> str:
    """The commit that the revision is now. Raises SourceError."""
    from robotrain_sources.huggingface import pin

    return pin.now(source, role)


def gone(source: Source, role: str, pinned: str) -> str:
    """Why a commit cannot be had any more. Raises SourceError."""
    from robotrain_sources.huggingface import pin

    return pin.gone(source, role, pinned)


def lacks(source: Source, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Those of some paths that are surely not in the repository."""
    from robotrain_sources.huggingface import pin

    return pin.lacks(source, role, paths)


KIND = SourceKind(
    name=repository.Repository.kind,
    title="Hugging Face repositories",
    form=repository.FORM,
    example="lerobot/pusht",
    help="A repository of the Hugging Face Hub, at a branch, a tag or a commit.",
    roles={
        "dataset": RoleFlag(
            "--dataset-repo-id",
            aliases=("-d", "--dataset"),
            env=("DATASET_REPO_ID",),
            repeatable=False,
            alone=True,
            beside="--dataset-id NAME",
            help="A LeRobot dataset of the Hugging Face Hub.",
        ),
        "policy": RoleFlag(
            "--policy-repo-id",
            env=("POLICY_REPO_ID",),
            repeatable=False,
            help="A policy of the Hugging Face Hub to go on from, or to evaluate; REVISION pins it.",
        ),
    },
    recognises=recognises,
    parse=parse,
    half="robotrain_sources.huggingface.container",
    pinning=Pinning(now=pinned, gone=gone, lacks=lacks),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """What `robotrain doctor` looks at."""
    from robotrain_sources.huggingface import health

    return health.checks()
