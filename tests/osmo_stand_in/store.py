"""Object stores, as folders: `azure://ACCOUNT/CONTAINER/PREFIX` lies in `store/azure/ACCOUNT/CONTAINER/PREFIX`."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BROKEN = "OSMODataStorageClientError: ServiceResponseError: ('Connection aborted.', ConnectionResetError(104, 'reset'))"
UNFINISHED = re.compile(r"^\..*\.\d+\.part$")
LEVELS = {"azure": 2, "s3": 1, "gs": 1, "tos": 2, "swift": 3}
"""How many parts of an address come before the keys of its objects."""


@dataclass(frozen=True)
class Place:
    """Where a URL leads. folder: of all objects of its container. prefix: what their keys begin with, or nothing."""

    folder: Path
    prefix: str


class Store:
    """Everything below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, url: str) -> Place:
        """Where a URL leads."""
        scheme, _, rest = url.partition("://")
        parts = [part for part in rest.split("/") if part]
        level = LEVELS[scheme]
        return Place(self.folder.joinpath(scheme, *parts[:level]), "/".join(parts[level:]))

    def keys(self, url: str) -> list[str]:
        """The object of that very name; else those below it as a folder, sorted. Keys are whole."""
        place = self.place(url)
        if place.prefix and (place.folder / place.prefix).is_file():
            return [place.prefix]
        files = (path for path in (place.folder / place.prefix).rglob("*") if path.is_file())
        whole = (path for path in files if not UNFINISHED.search(path.name))
        return sorted(path.relative_to(place.folder).as_posix() for path in whole)

    def put(self, url: str, files: Mapping[str, bytes]) -> None:
        """Objects below a URL."""
        place = self.place(url)
        for name, content in files.items():
            file = place.folder / place.prefix / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def objects(self, url: str) -> dict[str, bytes]:
        """What lies below a URL, by names from there on."""
        place = self.place(url)
        return {_below(key, place.prefix): (place.folder / key).read_bytes() for key in self.keys(url)}

    def upload(self, url: str, path: str, regex: str | None = None, share: float = 1.0) -> list[str]:
        """A file, a folder (its own name is kept) or what is in a folder (`folder/*`). Those that failed.

        share: of them that does not fail. Variables in the path are expanded. Links to folders are passed over.
        """
        place = self.place(url)
        path = os.path.realpath(os.path.expandvars(os.path.expanduser(path)))
        files, failed = [], list[str]()
        try:
            files += _walk(Path(path.removesuffix("/*")), path.endswith("/*"), regex)
        except OSError as error:
            failed = [f"{path}: cannot be accessed by OSMO, skipping: {error}"]
        whole = int(len(files) * share)
        for name, file in files[:whole]:
            _copy(file, place.folder / place.prefix / name)
        return [*(f"{file}: {BROKEN}" for _, file in files[whole:]), *failed]

    def download(self, url: str, folder: Path, regex: str | None = None) -> None:
        """Into a folder, without the prefix; perhaps there is nothing."""
        place = self.place(url)
        for key in self.keys(url):
            if not regex or re.match(regex, _below(key, place.prefix)):
                _copy(place.folder / key, folder / _below(key, place.prefix))

    def dataset(self, name: str) -> str:
        """Where a dataset of OSMO's own lies, `[BUCKET/]NAME[:TAG]`, until 6.3: the tag is not looked at."""
        bucket, _, own = name.rpartition("/")
        return f"s3://datasets-{bucket or 'default'}/{own.partition(':')[0]}"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, fresh)
    fresh.replace(target)


def _below(key: str, prefix: str) -> str:
    return key.rpartition("/")[2] if key == prefix else key.removeprefix(f"{prefix}/" if prefix else "")


def _walk(local: Path, inside: bool, regex: str | None) -> Iterator[tuple[str, Path]]:
    """The files below a place, by the names they get. Raises OSError, which ends the walk."""
    base = local if inside else local.parent
    os.stat(local)
    walk = [(str(local.parent), [], [local.name])] if local.is_file() else os.walk(local)
    for folder, _, names in walk:
        for path in (Path(folder, name) for name in sorted(names)):
            name = path.relative_to(base).as_posix()
            if not regex or re.match(regex, name):
                os.stat(path)
                yield name, path
