"""What is published below a prefix: the manifest comes last and goes first, so whoever finds it finds all it names."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.plugin import CheckpointManifest, PermanentError

from robotrain_s3.address import S3Prefix
from robotrain_s3.sealed import File, files
from robotrain_s3.store import Entry
from robotrain_s3.writing import Writing

MANIFEST = CheckpointManifest.FILE_NAME


class Published:
    """The folder at an address, written to. Everything raises what boto3 raises."""

    def __init__(self, at: S3Prefix) -> None:
        self._at, self._store = at, Writing(at)

    def put(self, folder: Path, digest: str) -> bool:
        """Bring what is sealed in `folder`, under its name; False when it was there already. Objects that an earlier
        try brought are not sent again. Raises Never when the name is taken, or when a file is not what was sealed.
        """
        name, sealed = folder.name, CheckpointManifest.read(folder)
        if sealed is None or sealed.digest != digest:
            raise PermanentError(f"{folder} is not what was sealed any more")
        there = self._store.below(name)
        made = self._own(name, sealed.run, there)
        wanted = list(files(folder, sealed))
        if made == sealed and _sizes(there, wanted):
            return False
        known = {one.name for one in wanted}
        self._delete(name, [MANIFEST, *(there.keys() - known - {MANIFEST})])
        self._store.upload((one for one in wanted if not _is(there.get(one.name), one)), name, sealed.run)
        if not _sizes(self._store.below(name), wanted):
            raise OSError(f"{self._at}/{name} did not arrive as it was sent")
        self._store.write(f"{name}/{MANIFEST}", (folder / MANIFEST).read_bytes(), sealed.run)
        return True

    def trim(self, run: str, keep: int) -> list[str]:
        """Remove the oldest checkpoints of `run` but for the last `keep`: their names."""
        own = sorted((name for name, made in self.whole() if made.run == run), key=int)
        removed = own[: -max(keep, 1)]
        for name in removed:
            there = self._store.below(name)
            self._delete(name, [MANIFEST, *(there.keys() - {MANIFEST})])
        return removed

    def whole(self) -> Iterator[tuple[str, CheckpointManifest]]:
        """Each complete checkpoint, by its name."""
        for path in self._store.below(""):
            name, _, file = path.rpartition("/")
            if file == MANIFEST and name.isdecimal() and (made := self._manifest(name)):
                yield name, made

    def probe(self) -> None:
        """That one may write and delete."""
        self._store.probe()

    def _own(self, name: str, run: str, there: Mapping[str, Entry]) -> CheckpointManifest | None:
        """The manifest under a name that is free or the run's own; None without one. Raises Never."""
        made = self._manifest(name) if MANIFEST in there else None
        whose = made.run if made else self._store.whose(f"{name}/{next(iter(there))}") if there else run
        if whose != run:
            what = f"holds what the run {whose} left" if whose else "is something else"
            raise PermanentError(f"{self._at}/{name} {what}")
        return made

    def _manifest(self, name: str) -> CheckpointManifest | None:
        with tempfile.TemporaryDirectory() as scratch:
            at = Path(scratch, MANIFEST)
            at.write_bytes(self._store.read(f"{name}/{MANIFEST}"))
            return CheckpointManifest.read(at.parent)

    def _delete(self, name: str, paths: list[str]) -> None:
        self._store.delete(f"{name}/{path}" for path in paths)


def _is(there: Entry | None, wanted: File) -> bool:
    return there is not None and (there.size, there.etag.strip('"')) == (wanted.size, wanted.md5.hex())


def _sizes(there: Mapping[str, Entry], wanted: list[File]) -> bool:
    return all(one.name in there and there[one.name].size == one.size for one in wanted)
