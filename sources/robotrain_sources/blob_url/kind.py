"""Declares `blob_url`: folders of blobs in Azure Storage."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain.model.source import Pinning, RoleFlag, Source, SourceError, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.blob_url import reference
from robotrain_sources.role_flags import INIT_POLICY, RESUME

_MEANT = r"(?i)\s*(?:(?:wasbs?|abfss?)://|(?:https?:)?/{0,2}[^/\\?#\s]*\.(?:blob|dfs|file)\.(?:core|storage|fabric)\.)"
_FILE = (
    r"(?i)\.(?:parquet|jsonl?|csv|txt|ya?ml|mp4|avi|mkv|png|jpe?g|zip|tar|t?gz|zst|7z|h5|hdf5|np[yz]|pkl|pt|pth|onnx"
    r"|safetensors|db3|mcap|bag)$"
)


def recognizes(text: str) -> bool:
    """Whether the text looks like an address of Azure Storage."""
    return bool(re.match(_MEANT, text))


def parse_source(text: str, base: Path) -> reference.BlobPrefix:
    """The prefix that `text` addresses. Raises SourceError."""
    try:
        return reference.parse_blob_url(text)
    except reference.BlobUrlError as refused:
        raise SourceError(refused.why, refused.suggestion) from None


def find_warnings(source: Source) -> list[str]:
    """What parses but is seldom meant."""
    *_, container, rest = str(source).split("/", 4)
    warnings = []
    if re.search(_FILE, rest):
        warnings.append("This looks like a single file; a blob URL names the folder above it, and would find nothing.")
    if len(container) < 3:
        warnings.append("Azure's container names have 3 to 63 characters; this one is shorter.")
    return warnings


def resolve_pin(source: Source, role: str) -> str:
    """The digest of what lies below the prefix now. Raises SourceError."""
    from robotrain_sources.blob_url import pin

    return pin.compute_pin(source, role)


def find_loss(source: Source, role: str, digest: str) -> str:
    """Why what was pinned cannot be had any more. Raises SourceError."""
    from robotrain_sources.blob_url import pin

    return pin.find_change(source, role, digest)


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Those of some paths that are surely not in the folder."""
    from robotrain_sources.blob_url import pin

    return pin.find_missing_paths(source, role, paths)


KIND = SourceKind(
    name=reference.BlobPrefix.kind,
    title="blob URLs",
    form=reference.FORM,
    example="https://account.blob.core.windows.net/datasets/pusht",
    help="A folder in Azure Storage: every blob below the prefix.",
    roles={
        "dataset": RoleFlag(
            "--blob-url", env=("BLOB_URLS",), help="A LeRobot dataset in Azure Storage: all below the prefix."
        ),
        "policy": RoleFlag(
            "--policy-url", repeatable=False, help="A policy in Azure Storage to go on from, or to evaluate."
        ),
        "init_policy": INIT_POLICY,
        "resume": RESUME,
    },
    recognizes=recognizes,
    parse=parse_source,
    container_plugin="robotrain_sources.blob_url.container",
    target="robotrain_sources.blob_url.target",
    warn=find_warnings,
    pinning=Pinning(resolve=resolve_pin, find_loss=find_loss, find_missing=find_missing_paths),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
