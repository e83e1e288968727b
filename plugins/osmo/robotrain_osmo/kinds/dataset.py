"""Source kind `osmo_dataset`: datasets in OSMO's buckets."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.capabilities import ANY, no
from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.plugins.hookspecs import hook

DATASET_PATTERN = r"[A-Za-z0-9_-]+"


DATASET_FLAG = "--dataset-name"
FORM = "[BUCKET/]NAME[:VERSION]"
LEGACY_DATASET_NOTE = (
    "What `osmo dataset upload` made, up to 6.3, is no such folder: OSMO kept its files by their hashes."
)
_REFERENCE = rf"(?:(?P<bucket>{DATASET_PATTERN})/)?(?P<name>{DATASET_PATTERN})(?::(?P<version>{DATASET_PATTERN}))?"


@dataclass(frozen=True)
class OsmoDataset:
    """A dataset in a bucket. bucket: empty for that of the settings. version: a tag or a version, or empty."""

    kind: ClassVar[str] = "osmo_dataset"

    name: str
    bucket: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{f'{self.bucket}/' if self.bucket else ''}{self.name}{f':{self.version}' if self.version else ''}"


def is_dataset_reference(text: str) -> bool:
    """Never: a bare word may be the name of anything."""
    return False


def parse_dataset(text: str, base: Path = Path("/")) -> OsmoDataset:
    """The dataset that `text` names. Raises SourceError."""
    if found := re.fullmatch(_REFERENCE, text):
        return OsmoDataset(found["name"], found["bucket"] or "", found["version"] or "")
    if re.fullmatch(_REFERENCE, text.strip().strip("/")):
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
    roles={"dataset": RoleFlag(DATASET_FLAG, env=("OSMO_DATASET_NAME",))},
    recognizes=is_dataset_reference,
    parse=parse_dataset,
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
