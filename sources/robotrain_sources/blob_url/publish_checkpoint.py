"""Checkpoints below a prefix: the manifest comes last and goes first, so whoever finds it finds all that it names."""

import hashlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime import checkpoint
from robotrain_runtime.checkpoint import MANIFEST, Manifest
from robotrain_runtime.courier import Never

from robotrain_sources.blob_url.prefix import BlobPrefix
from robotrain_sources.blob_url.publish_blobs import Author, Container, There, Wanted
from robotrain_sources.blob_url.publish_refused import Torn

CHUNK = 1 << 20
_PART = r"(\d+)/(.+)"


class Published:
    """What is published below one prefix."""

    def __init__(self, at: BlobPrefix, blobs: Container) -> None:
        self._at = at
        self.blobs = blobs

    def put(self, folder: Path, digest: str) -> bool:
        """Bring the checkpoint in `folder`, under its name: whole, or not there. False when it was there already.

        Parts of it that an earlier try brought are not sent again. Raises Never when the name is taken, or when the
        folder does not hold what was sealed; Torn; what the SDK raises.
        """
        name, sealed = folder.name, checkpoint.read(folder)
        if sealed is None or sealed.digest != digest:
            raise Never(f"{folder} is not what was sealed any more")
        there = self._own(name, sealed.run)
        wanted = {path: _wanted(folder, path, sha256) for path, sha256 in sealed.files.items()}
        if MANIFEST in there:
            if self._manifest(name) == sealed and all(_is(there.get(path), one) for path, one in wanted.items()):
                return False
            self.blobs.delete([f"{name}/{MANIFEST}"])
        self.blobs.delete(f"{name}/{path}" for path in there.keys() - wanted.keys() - {MANIFEST})
        missing = [one for path, one in wanted.items() if not _is(there.get(path), one)]
        by = Author(sealed.run, sealed.submission, sealed.tracking)
        self.blobs.upload(missing, name, by)
        self._verify(name, wanted)
        self._seal(name, folder, by)
        return True

    def trim(self, run: str, keep: int) -> list[str]:
        """Remove the oldest checkpoints of `run` but for the last `keep`, and what is left of older ones: their names.

        The manifest goes first: nobody finds half a checkpoint that looks whole.
        """
        parts = self._parts(run)
        whole = sorted((name for name, paths in parts.items() if MANIFEST in paths), key=int)
        kept = whole[-max(keep, 1) :]
        removed = [name for name in sorted(parts, key=int) if kept and int(name) < int(kept[0])]
        for name in removed:
            self.blobs.delete([f"{name}/{MANIFEST}"] if name in whole else [])
            self.blobs.delete(f"{name}/{path}" for path in parts[name] - {MANIFEST})
        return [name for name in removed if name in whole]

    def whole(self) -> dict[str, Author]:
        """What wrote each checkpoint there, by its name; under an empty name the place itself, if it is one."""
        found = {}
        for path, one in self.blobs.below().items():
            name, _, file = path.rpartition("/")
            if file == MANIFEST and (not name or name.isdecimal()):
                made = None if one.run else self._manifest(name)
                found[name] = Author(made.run, made.submission, made.tracking) if made else one.by
        return found

    def _own(self, name: str, run: str) -> Mapping[str, There]:
        """What is there under a name that is free, or the run's own. Raises Never."""
        there = self.blobs.below(name)
        address = f"{self._at}/{name}"
        if MANIFEST in there:
            made = self._manifest(name)
            if made is None or made.run != run:
                raise Never(f"{address} is " + (f"a checkpoint of the run {made.run}" if made else "something else"))
        elif other := next((one.run for one in there.values() if one.run not in ("", run)), ""):
            raise Never(f"{address} holds parts of a checkpoint of the run {other}")
        elif any(not one.run for one in there.values()):
            raise Never(f"{address} is something else")
        return there

    def _manifest(self, name: str) -> Manifest | None:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, MANIFEST).write_bytes(self.blobs.read(f"{name}/{MANIFEST}".lstrip("/")))
            return checkpoint.read(Path(scratch))

    def _verify(self, name: str, wanted: Mapping[str, Wanted]) -> None:
        """The service must have what was sent, by its own account of it."""
        there = self.blobs.below(name)
        for path, one in wanted.items():
            if not _is(there.get(path), one):
                raise Torn(f"{self._at}/{name}/{path} did not arrive as it was sent")

    def _seal(self, name: str, folder: Path, by: Author) -> None:
        content = (folder / MANIFEST).read_bytes()
        self.blobs.write(f"{name}/{MANIFEST}", content, hashlib.md5(content).digest(), by)
        if self.blobs.read(f"{name}/{MANIFEST}") != content:
            self.blobs.delete([f"{name}/{MANIFEST}"])
            raise Torn(f"{self._at}/{name}/{MANIFEST} did not arrive as it was sent")

    def _parts(self, run: str) -> dict[str, set[str]]:
        """What the run wrote, by the name of the checkpoint."""
        found: dict[str, set[str]] = {}
        for name, one in self.blobs.below().items():
            step, path = _split(name)
            if step and one.run == run:
                found.setdefault(step, set()).add(path)
        return found


def _split(name: str) -> tuple[str, str]:
    """Checkpoint and path of a blob below the prefix; empty for what belongs to none."""
    found = re.fullmatch(_PART, name)
    return (found[1], found[2]) if found else ("", "")


def _is(there: There | None, wanted: Wanted) -> bool:
    return there is not None and (there.size, there.md5) == (wanted.size, wanted.md5)


def _wanted(folder: Path, path: str, sealed: str) -> Wanted:
    """A file as it is to arrive. Raises Never when it is not what was sealed."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(), 0
    try:
        with (folder / path).open("rb") as file:
            while chunk := file.read(CHUNK):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        raise Never(f"{folder / path} is gone") from None
    if sha256.hexdigest() != sealed:
        raise Never(f"{folder / path} is not what was saved")
    return Wanted(name=path, file=folder / path, size=size, md5=md5.digest())
