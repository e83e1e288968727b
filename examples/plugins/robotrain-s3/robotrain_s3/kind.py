"""The source kind `s3`: how users name a folder of objects, and how it is pinned. `--help` imports this module too."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.plugin import Pinning, RoleFlag, SourceError, SourceKind, SourceNotFound, SourceUnreachable, hook

FORM = "s3://BUCKET/PREFIX"
ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([\w .+-]+(?:/[\w .+-]+)*)/*", re.ASCII)


@dataclass(frozen=True)
class S3Prefix:
    """Every object below a prefix of a bucket."""

    kind: ClassVar[str] = "s3"
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def parse(text: str, base: Path) -> S3Prefix:
    """Return the prefix that a text names. Raise SourceError."""
    address = ADDRESS.fullmatch(text.strip())
    if not address or {".", ".."} & {*address[2].split("/")}:
        raise SourceError(f"An address in S3 is {FORM}, without a query and characters to be escaped.", FORM)
    return S3Prefix(address[1], address[2])


@contextlib.contextmanager
def convert_errors() -> Iterator[None]:
    """Raise SourceNotFound for what does not exist, SourceUnreachable where this machine cannot read it."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise SourceNotFound(f"{error}.") from None
    except BaseError as error:
        raise SourceUnreachable(f"S3 does not answer as expected: {str(error).splitlines()[0]}.") from None


def resolve_pin(source: S3Prefix, role: str) -> str:
    """Return the digest of what is below the prefix now. Raise SourceError."""
    from robotrain_s3 import bucket

    with convert_errors():
        return bucket.compute_digest(bucket.list_objects(str(source)))


def explain_lost_pin(source: S3Prefix, role: str, pin: str) -> str:
    """Return why what was pinned is no longer there; empty if it is. Raise SourceError."""
    return "" if resolve_pin(source, role) == pin else f"What is below {source} has changed since it was pinned."


def read_files(source: S3Prefix, role: str, pin: str, paths: Sequence[str]) -> Mapping[str, bytes]:
    """Return the content of those of some small files that exist. Raise SourceError."""
    from robotrain_s3 import bucket

    with convert_errors():
        return bucket.read_files(str(source), paths)


@hook
def robotrain_source_kinds() -> list[SourceKind]:
    """Return the source kind of this distribution."""
    pinning = Pinning(resolve_pin, explain_lost_pin, read_files=read_files)  # type: ignore[arg-type]
    dataset = RoleFlag("--s3-url", help="A LeRobot dataset in S3: every object below the prefix.", common=True)
    return [
        SourceKind(
            name=S3Prefix.kind,
            title="S3 folders",
            form=FORM,
            example="s3://robots/datasets/pusht",
            help="A folder in S3: every object below the prefix.",
            roles={"dataset": dataset},
            recognizes=lambda text: text.startswith("s3://"),
            parse=parse,
            container_plugin="robotrain_s3.container",
            schemes=("s3",),
            pinning=pinning,
        )
    ]
