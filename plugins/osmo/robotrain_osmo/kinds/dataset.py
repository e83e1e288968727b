"""Declares `osmo_dataset`: datasets in OSMO's buckets (contract A.1, the dataset workflow of seed 003)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.capabilities import ANY, no
from robotrain.hookspecs import hook
from robotrain.source import RoleFlag, SourceError, SourceKind

from robotrain_osmo import names

FLAG = "--dataset-name"
FORM = "[BUCKET/]NAME[:VERSION]"
BY_HASH = "What `osmo dataset upload` made, up to 6.3, is no such folder: OSMO kept its files by their hashes."
_WHOLE = rf"(?:(?P<bucket>{names.DATASET})/)?(?P<name>{names.DATASET})(?::(?P<version>{names.DATASET}))?"


@dataclass(frozen=True)
class OsmoDataset:
    """A dataset in a bucket. bucket: empty for that of the settings. version: a tag or a version, or empty."""

    kind: ClassVar[str] = "osmo_dataset"

    name: str
    bucket: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{f'{self.bucket}/' if self.bucket else ''}{self.name}{f':{self.version}' if self.version else ''}"


def recognises(text: str) -> bool:
    """Never: a bare word may be the name of anything."""
    return False


def parse(text: str, base: Path = Path("/")) -> OsmoDataset:
    """The dataset that `text` names. Raises SourceError."""
    if found := re.fullmatch(_WHOLE, text):
        return OsmoDataset(found["name"], found["bucket"] or "", found["version"] or "")
    if re.fullmatch(_WHOLE, text.strip().strip("/")):
        raise SourceError("There is white space or a slash around the name.", text.strip().strip("/"))
    if "://" in text:
        raise SourceError("An OSMO dataset has a name, no address: where its bucket lies is said with --buckets.")
    raise SourceError("A dataset and its bucket are named with letters, digits, `_` and `-`.")


KIND = SourceKind(
    name=OsmoDataset.kind,
    title="OSMO datasets",
    form=FORM,
    example="pusht",
    help="A LeRobot dataset in a bucket of OSMO, --dataset-bucket unless the name says one.",
    roles={"dataset": RoleFlag(FLAG, env=("OSMO_DATASET_NAME",))},
    recognises=recognises,
    parse=parse,
    unsupported={
        ANY: no(
            "OSMO alone knows its buckets, and the keys of its storage.",
            "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
        )
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this file."""
    return (KIND,)
