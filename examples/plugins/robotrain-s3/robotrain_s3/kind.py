"""Declares `s3`: what a person types, how it is pinned, and that it is written to as well. Imports no SDK."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain.plugin import Pinning, RoleFlag, SourceError, SourceKind, holds_secret, hook

from robotrain_s3 import address

ROBOTRAIN_API = 1

_MEANT = (
    r"(?i)\s*(?:s3[an]?://|s3\+https?://|arn:aws[\w-]*:s3:"
    r"|https?://(?:[\w.-]*\bs3[\w.-]*\.amazonaws\.com\b|[\w.-]*console\.aws\.amazon\.com/s3/))"
)


def recognizes(text: str) -> bool:
    """Whether the text looks like an address in S3."""
    return bool(re.match(_MEANT, text))


def parse(text: str, base: Path) -> address.S3Prefix:
    """The prefix that `text` addresses. Raises SourceError."""
    try:
        found = address.parse(text)
    except address.AddressError as refused:
        instead = "" if holds_secret(refused.instead) else refused.instead
        raise SourceError(refused.why, instead) from None
    if holds_secret(str(found)):
        raise SourceError("It holds what only a key or a token looks like; a job never carries one.")
    return found


def pinned(source: address.S3Prefix, role: str) -> str:
    """The digest of what lies below the prefix now. Raises SourceError."""
    from robotrain_s3 import pin

    return pin.now(source)


def gone(source: address.S3Prefix, role: str, pinned: str) -> str:
    """Why what was pinned cannot be had any more. Raises SourceError."""
    from robotrain_s3 import pin

    return pin.gone(source, pinned)


def lacks(source: address.S3Prefix, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Those of some paths that are surely not below the prefix."""
    from robotrain_s3 import pin

    return pin.lacks(source, paths)


KIND = SourceKind(
    name=address.S3Prefix.kind,
    title="S3 folders",
    form=address.FORM,
    example="s3://robots/datasets/pusht",
    help=f"A folder in S3, every object below the prefix; in a store of one's own: {address.ELSEWHERE}.",
    roles={"dataset": RoleFlag("--s3-url", help="A LeRobot dataset in S3: every object below the prefix.")},
    recognizes=recognizes,
    parse=parse,
    container_plugin="robotrain_s3.container",
    target="robotrain_s3.target",
    schemes=("s3", "s3+https", "s3+http"),
    pinning=Pinning(resolve=pinned, find_loss=gone, find_missing=lacks),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this distribution."""
    return (KIND,)
