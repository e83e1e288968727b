"""What is sealed in a folder, as objects that are to be there."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.plugin import CheckpointManifest, PermanentError

PIECE = 1 << 20
LARGEST = 5 << 30
"""Bytes that S3 takes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file. name: below the folder."""

    name: str
    path: Path
    size: int
    md5: bytes

    @property
    def header(self) -> str:
        """The MD5 as S3 is told it."""
        return base64.b64encode(self.md5).decode()


def files(folder: Path, sealed: CheckpointManifest) -> Iterator[File]:
    """Every file that the manifest names. Raises Never for one that is not what was sealed."""
    for name, sha256 in sealed.files.items():
        seen, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        try:
            with (folder / name).open("rb") as file:
                while piece := file.read(PIECE):
                    seen.update(piece)
                    md5.update(piece)
                    size += len(piece)
        except FileNotFoundError:
            raise PermanentError(f"{folder / name} is gone") from None
        if seen.hexdigest() != sha256:
            raise PermanentError(f"{folder / name} is not what was saved")
        if size > LARGEST:
            raise PermanentError(f"{folder / name} is larger than S3 takes at once: 5 GiB")
        yield File(name=name, path=folder / name, size=size, md5=md5.digest())
