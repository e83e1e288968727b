"""Declares `huggingface`: datasets of the Hugging Face Hub."""

import re
from collections.abc import Iterable
from pathlib import Path

from robotrain.hookspecs import hook
from robotrain.source import RoleFlag, SourceError, SourceKind

from robotrain_sources.huggingface import repository

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


KIND = SourceKind(
    name=repository.Repository.kind,
    title="Hugging Face datasets",
    form=repository.FORM,
    help="A LeRobot dataset of the Hugging Face Hub.",
    roles={
        "dataset": RoleFlag(
            "--dataset-repo-id", aliases=("-d", "--dataset"), env=("DATASET_REPO_ID",), repeatable=False
        )
    },
    recognises=recognises,
    parse=parse,
    alone=True,
    beside="--dataset-id NAME",
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
