"""Publish below a prefix. The manifest is written last and deleted first, so whoever finds it finds all its files."""

import base64
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.plugin import CheckpointManifest, PermanentError

from robotrain_s3.address import S3Prefix
from robotrain_s3.store import CHUNK_BYTES, Entry
from robotrain_s3.writable_store import WritableStore

MANIFEST = CheckpointManifest.FILE_NAME
MAX_FILE_BYTES = 5 << 30
"""What S3 accepts in one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFile:
    """One file of a sealed folder; `name` is its path below the folder."""

    name: str
    path: Path
    size: int
    md5: bytes

    @property
    def content_md5(self) -> str:
        """The MD5 in the form of the Content-MD5 header."""
        return base64.b64encode(self.md5).decode()


def list_sealed_files(folder: Path, sealed: CheckpointManifest) -> Iterator[SealedFile]:
    """Yield every file that the manifest names. Raise PermanentError for one that has changed since."""
    for name, sha256 in sealed.files.items():
        found, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        try:
            with (folder / name).open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    found.update(chunk)
                    md5.update(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            raise PermanentError(f"{folder / name} no longer exists") from None
        if found.hexdigest() != sha256:
            raise PermanentError(f"{folder / name} has changed since it was saved")
        if size > MAX_FILE_BYTES:
            raise PermanentError(f"{folder / name} is larger than 5 GiB, the most that S3 accepts in one request")
        yield SealedFile(name=name, path=folder / name, size=size, md5=md5.digest())


class Publisher:
    """The folder at an address, written to. Every method raises what boto3 raises."""

    def __init__(self, at: S3Prefix) -> None:
        self._at, self._store = at, WritableStore(at)

    def put(self, folder: Path, digest: str) -> bool:
        """Upload the sealed `folder` under its name; return False if it was there already.

        Objects that an earlier attempt uploaded are not sent again. Raise PermanentError if the name is taken, or a
        file has changed since it was sealed.
        """
        name, sealed = folder.name, CheckpointManifest.read(folder)
        if sealed is None or sealed.digest != digest:
            raise PermanentError(f"{folder} has changed since it was sealed")
        existing = self._store.list_folder(name)
        published = self._read_own_manifest(name, sealed.run, existing)
        wanted = list(list_sealed_files(folder, sealed))
        if published == sealed and _have_sizes(existing, wanted):
            return False
        known = {one.name for one in wanted}
        self._delete(name, [MANIFEST, *(existing.keys() - known - {MANIFEST})])
        missing = [one for one in wanted if not _is_uploaded(existing.get(one.name), one)]
        uploads = {f"{name}/{one.name}": (one.path, one.content_md5) for one in missing}
        self._store.upload_files(uploads, sealed.run)
        if not _have_sizes(self._store.list_folder(name), wanted):
            raise OSError(f"{self._at}/{name} did not arrive complete")
        self._store.write(f"{name}/{MANIFEST}", (folder / MANIFEST).read_bytes(), sealed.run)
        return True

    def trim(self, run: str, keep: int) -> list[str]:
        """Remove all but the last `keep` checkpoints of `run`; return their names."""
        own = sorted((name for name, manifest in self.list_checkpoints() if manifest.run == run), key=int)
        removed = own[: -max(keep, 1)]
        for name in removed:
            existing = self._store.list_folder(name)
            self._delete(name, [MANIFEST, *(existing.keys() - {MANIFEST})])
        return removed

    def list_checkpoints(self) -> Iterator[tuple[str, CheckpointManifest]]:
        """Yield each complete checkpoint: its name and its manifest."""
        for path in self._store.list_folder(""):
            name, _, file = path.rpartition("/")
            if file == MANIFEST and name.isdecimal() and (manifest := self._read_manifest(name)):
                yield name, manifest

    def check_access(self) -> None:
        """Raise if one may not write and delete there."""
        self._store.check_access()

    def _read_own_manifest(self, name: str, run: str, existing: Mapping[str, Entry]) -> CheckpointManifest | None:
        """Return the manifest under a name that is free or the run's own. Raise PermanentError if it is another's."""
        manifest = self._read_manifest(name) if MANIFEST in existing else None
        owner = run
        if manifest:
            owner = manifest.run
        elif existing:
            owner = self._store.read_owner(f"{name}/{next(iter(existing))}")
        if owner != run:
            what = f"the run {owner} published it" if owner else "robotrain did not write it"
            raise PermanentError(f"{self._at}/{name} is already taken: {what}")
        return manifest

    def _read_manifest(self, name: str) -> CheckpointManifest | None:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, MANIFEST)
            path.write_bytes(self._store.read(f"{name}/{MANIFEST}"))
            return CheckpointManifest.read(path.parent)

    def _delete(self, name: str, paths: list[str]) -> None:
        self._store.delete(f"{name}/{path}" for path in paths)


def _is_uploaded(existing: Entry | None, wanted: SealedFile) -> bool:
    return existing is not None and (existing.size, existing.etag.strip('"')) == (wanted.size, wanted.md5.hex())


def _have_sizes(existing: Mapping[str, Entry], wanted: list[SealedFile]) -> bool:
    return all(one.name in existing and existing[one.name].size == one.size for one in wanted)
