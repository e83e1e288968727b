"""What the artifacts of a run are, as MLflow lists them, and where among them a policy lies."""

from collections.abc import Iterator, Mapping
from typing import Any

from robotrain_sources.fetching import answer, names, tracked
from robotrain_sources.local_path.policy import FILES, MODEL

UNKNOWN = -1
"""The size of what the store does not tell it of."""


class Listing:
    """The artifacts of one run. Every method raises what MLflow raises, and Refused."""

    def __init__(self, client: Any, run: str) -> None:
        self._client = client
        self._run = run

    def policy(self, path: str) -> tuple[str, Mapping[str, int]]:
        """Where at `path` a policy lies, and the size of each file: there, or in the model part of a checkpoint."""
        files = dict(self._below(path))
        if not files:
            raise self.nothing(path)
        for part in ("", f"{MODEL}/"):
            if all(f"{part}{name}" in files for name in FILES):
                found = {name.removeprefix(part): size for name, size in files.items() if name.startswith(part)}
                return f"{path}/{part}".rstrip("/"), found
        raise self._no_policy(path, files)

    def no_policy(self, path: str) -> answer.Refused:
        """That there is none at `path`, and where below it there are some."""
        return self._no_policy(path, dict(self._below(path)))

    def nothing(self, path: str) -> answer.Refused:
        """That nothing lies at `path`, and what was probably meant."""
        parts = path.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            above = "/".join(parts[:depth])
            there = {one.path: one.is_dir for one in self._listed(above)}
            if there.get(path) is False:
                return answer.Refused(f"{path} of the run {self._run} is a single file: name the folder above it")
            if near := tracked.near(path, sorted(name for name, folder in there.items() if folder)):
                return answer.Refused(f"the run {self._run} has no artifacts at {path}; it has {', '.join(near)}")
        return answer.Refused(f"the run {self._run} has no artifacts at {path}, and no other folders of them")

    def _no_policy(self, path: str, files: Mapping[str, int]) -> answer.Refused:
        folders = sorted(name.removesuffix(f"/{FILES[0]}") for name in files if name.endswith(f"/{FILES[0]}"))
        whole = [f"{path}/{folder}" for folder in folders if f"{folder}/{FILES[1]}" in files]
        missing = " and ".join(name for name in FILES if name not in files)
        way = f"; below it there is {', '.join(whole[-tracked.MOST_TOLD :])}" if whole else ""
        return answer.Refused(f"{path} of the run {self._run} holds no policy: it lacks {missing}{way}")

    def _below(self, path: str) -> Iterator[tuple[str, int]]:
        """The files of a folder, by their paths below it."""
        for name, size in self._files(path):
            if wrong := names.unsafe(inside := name.removeprefix(f"{path}/")):
                raise answer.Refused(wrong)
            yield inside, size

    def _files(self, folder: str) -> Iterator[tuple[str, int]]:
        for one in self._listed(folder):
            if one.is_dir:
                yield from self._files(one.path)
            else:
                yield one.path, UNKNOWN if one.file_size is None else one.file_size

    def _listed(self, folder: str) -> Iterator[Any]:
        """What lies in a folder; some stores list whatever begins with its name."""
        below = f"{folder}/" if folder else ""
        return (one for one in self._client.list_artifacts(self._run, folder or None) if one.path.startswith(below))
