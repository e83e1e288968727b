"""OSMO's own datasets, until 6.3: files by their hashes in a folder of the dataset's own, and a list a version."""

import hashlib
import json
import re
import tempfile
from pathlib import Path

from osmo_stand_in.store import Store

NAME = re.compile(r"(?:(?P<bucket>[a-zA-Z0-9_-]+)/)?(?P<name>[a-zA-Z0-9_-]+)(?::(?P<tag>[\w.-]+))?")
DEFAULT = "default"


class Datasets:
    """Those in a store. A bucket is `s3://datasets-BUCKET`, and no name of a dataset is in a path of it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def url(self, name: str) -> str:
        """The folder of a dataset, `[BUCKET/]NAME[:TAG]`. Raises ValueError."""
        found = NAME.fullmatch(name)
        if not found:
            raise ValueError(name)
        own = hashlib.sha256(found["name"].encode()).hexdigest()[:22]
        return f"s3://datasets-{found['bucket'] or DEFAULT}/{own}"

    def upload(self, name: str, *paths: str) -> None:
        """A new version: folders under their own names."""
        files: dict[str, bytes] = {}
        with tempfile.TemporaryDirectory() as scratch:
            beside = Store(Path(scratch))
            for path in paths:
                beside.upload("s3://one", path)
            files = beside.objects("s3://one")
        digests = {path: hashlib.md5(content).hexdigest() for path, content in files.items()}
        version = len(self._versions(name)) + 1
        values = {"name": name, "files": digests}
        self.store.put(f"{self.url(name)}/hashes", {digests[path]: content for path, content in files.items()})
        self.store.put(f"{self.url(name)}/manifests", {f"{version}.json": json.dumps(values).encode()})

    def files(self, name: str) -> dict[str, bytes]:
        """What is in the newest version, or in that of a tag, by its path; nothing where there is none."""
        versions, tag = self._versions(name), name.rpartition(":")[2] if ":" in name else ""
        version = int(tag) if tag.isdecimal() else max(versions, default=0)
        if version not in versions:
            return {}
        hashes = self.store.objects(f"{self.url(name)}/hashes")
        return {path: hashes[digest] for path, digest in json.loads(versions[version])["files"].items()}

    def download(self, name: str, folder: Path) -> int:
        """Into a folder; how many there were."""
        found = self.files(name)
        for path, content in found.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return len(found)

    def _versions(self, name: str) -> dict[int, bytes]:
        found = self.store.objects(f"{self.url(name)}/manifests")
        return {int(path.removesuffix(".json")): content for path, content in found.items()}
