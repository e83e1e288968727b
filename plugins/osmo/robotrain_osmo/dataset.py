"""Source kind `osmo_dataset`: datasets in OSMO's buckets."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.model.support import ANY, no
from robotrain.plugins.hookspecs import hook

DATASET_PATTERN = r"[A-Za-z0-9_-]+"
DATASET_FLAG = "--dataset-name"
PUBLISH_FLAG = "--publish-dataset"
CODE_NAME_FLAG = "--code-dataset"
CODE_FLAG = "--training-dataset"
"""Not DATASET_FLAG, as a workload may take both; where it takes only code, DATASET_FLAG is another spelling."""
FORM = "[BUCKET/]NAME[:VERSION]"
_REFERENCE = rf"(?:(?P<bucket>{DATASET_PATTERN})/)?(?P<name>{DATASET_PATTERN})(?::(?P<version>{DATASET_PATTERN}))?"


@dataclass(frozen=True)
class OsmoDataset:
    """A dataset in a bucket."""

    kind: ClassVar[str] = "osmo_dataset"

    name: str
    bucket: str = ""
    """Empty for the bucket of the settings."""
    version: str = ""
    """A version or a tag."""

    def __str__(self) -> str:
        return f"{f'{self.bucket}/' if self.bucket else ''}{self.name}{f':{self.version}' if self.version else ''}"


def parse_dataset(text: str, base: Path = Path("/")) -> OsmoDataset:
    """Parse a dataset reference. Raise SourceError if it is invalid."""
    if match := re.fullmatch(_REFERENCE, text):
        return OsmoDataset(match["name"], match["bucket"] or "", match["version"] or "")
    if re.fullmatch(_REFERENCE, text.strip().strip("/")):
        raise SourceError("The name has white space or a slash at its start or end.", text.strip().strip("/"))
    if "://" in text:
        raise SourceError("An OSMO dataset has a name, not a URL; --buckets sets the location of its bucket.")
    raise SourceError("The names of datasets and buckets contain letters, digits, `_` and `-`.")


KIND = SourceKind(
    name=OsmoDataset.kind,
    title="OSMO datasets",
    form=FORM,
    example="pusht",
    help="A dataset in an OSMO bucket (default bucket: --dataset-bucket).",
    roles={
        "dataset": RoleFlag(DATASET_FLAG, env=("OSMO_DATASET_NAME",)),
        "code": RoleFlag(
            CODE_FLAG,
            (DATASET_FLAG,),
            repeatable=False,
            help="Your own training program in an OSMO bucket (default bucket: training), as with --code.",
        ),
    },
    recognizes=lambda text: False,  # any word could be a dataset's name
    parse=parse_dataset,
    unsupported={
        "code": no("Only OSMO can read its buckets.", "--code FOLDER"),
        ANY: no(
            "Only OSMO can read its buckets.",
            "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
        ),
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
