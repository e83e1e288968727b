"""The source kind `huggingface`: datasets and policies of the Hugging Face Hub."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.model.source import Pinning, RoleFlag, Source, SourceError, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.huggingface import reference

if TYPE_CHECKING:
    from robotrain.model.health import HealthCheck

_ADDRESS = r"(?i)\s*(?:hf:/|(?:(?:https?:)?//)?(?:[^/?#]*@)?(?:www\.)?(?:huggingface|hf)\.co/)"


def recognizes(text: str) -> bool:
    """Return whether the text is an address of the Hub, or `OWNER/NAME`."""
    name = text.strip().partition("@")[0]
    return bool(re.match(_ADDRESS, text)) or ("/" in name and reference.is_repository_id(name))


def parse_source(text: str, base: Path) -> reference.Repository:
    """Return the repository that `text` names. Raise SourceError."""
    try:
        return reference.parse_repository(text)
    except reference.RepositoryError as error:
        raise SourceError(error.why, error.suggestion) from None


def resolve_pin(source: Source, role: str) -> str:
    """Return the current commit of the revision. Raise SourceError."""
    from robotrain_sources.huggingface import pin

    return pin.resolve_commit(source, role)


def find_loss(source: Source, role: str, commit: str) -> str:
    """Return why a commit is not available; empty if it is. Raise SourceError."""
    from robotrain_sources.huggingface import pin

    return pin.find_lost_commit(source, role, commit)


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Return the paths that are not in the repository."""
    from robotrain_sources.huggingface import pin

    return pin.find_missing_paths(source, role, paths)


KIND = SourceKind(
    name=reference.Repository.kind,
    title="Hugging Face repositories",
    form=reference.FORM,
    example="lerobot/pusht",
    help="A repository of the Hugging Face Hub, at a branch, a tag or a commit.",
    roles={
        "dataset": RoleFlag(
            "--dataset-repo-id",
            aliases=("-d", "--dataset"),
            env=("DATASET_REPO_ID",),
            repeatable=False,
            exclusive=True,
            combine_hint="--dataset-id NAME",
            help="A LeRobot dataset of the Hugging Face Hub.",
        ),
        "policy": RoleFlag(
            "--policy-repo-id",
            env=("POLICY_REPO_ID",),
            repeatable=False,
            help="A policy of the Hugging Face Hub to go on from, or to evaluate; REVISION pins it.",
        ),
    },
    recognizes=recognizes,
    parse=parse_source,
    container_plugin="robotrain_sources.huggingface.container",
    pinning=Pinning(resolve=resolve_pin, find_loss=find_loss, find_missing=find_missing_paths),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """Return the checks of `robotrain doctor`."""
    from robotrain_sources.huggingface import pin

    return pin.list_health_checks()
