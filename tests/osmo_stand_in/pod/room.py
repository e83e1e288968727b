"""A container's view of the disk: this machine's, with what OSMO and Kubernetes put over it."""

import base64
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osmo_stand_in.pod import tokens
from osmo_stand_in.store import Store

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
READ_ONLY = 0o444
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
HIDDEN_PYTHON = "/isaac-sim/kit/python/bin/python3"


@dataclass(frozen=True)
class Room:
    """One attempt's. disk: laid out by the paths in the container; gone with the attempt. scratch: what is beside it.

    own: folders that the container has for itself. mounts: folders of this machine, by where they are in the container.
    """

    scratch: Path
    own: Sequence[str] = ()
    mounts: Mapping[str, str] = field(default_factory=dict)
    user: int = 1000
    """Who runs the command, where that can be chosen: newer images of Isaac Lab have an unprivileged user."""

    @property
    def disk(self) -> Path:
        return self.scratch / "disk"

    def at(self, path: str) -> Path:
        """Where a path of the container lies on this machine."""
        ours = self.disk / path.lstrip("/")
        is_own = any(Path(path).is_relative_to(folder) for folder in ("/osmo", *self.own))
        return ours if is_own or ours.exists() else Path(path)

    def furnish(
        self, task: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]], store: Store, workflow: str
    ) -> list[str]:
        """Inputs, files and secrets. What OSMO says about it."""
        messages = []
        for place in (*self.own, *self.mounts):
            (self.disk / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        (self.disk / tokens.OUTPUT.lstrip("/")).mkdir(parents=True)
        for index, source in enumerate(task.get("inputs", [])):
            folder = self.disk / f"{tokens.INPUTS}/{index}".lstrip("/")
            folder.mkdir(parents=True)
            messages += _bring(source, folder, store, workflow)
        for file in task.get("files", []):
            text = file["contents"].encode()
            self._put(file["path"], base64.b64decode(text) if file.get("base64") else text)
        for name, folder_or_keys in task.get("credentials", {}).items():
            if isinstance(folder_or_keys, str):
                for key, value in secrets[name].items():
                    self._put(f"{folder_or_keys}/{key}", value.encode())
        return [*messages, "All Inputs Gathered"]

    def _put(self, path: str, content: bytes) -> None:
        file = self.disk / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(READ_ONLY)

    def path(self) -> str:
        """PATH of the container. As in Isaac Lab's image it has no Python, which lies in a folder of its own."""
        folder, is_like_isaac = self.scratch / "bin", isolates()
        for python in (self.disk / HIDDEN_PYTHON.lstrip("/"), *(() if is_like_isaac else (folder / "python3",))):
            python.parent.mkdir(parents=True, exist_ok=True)
            if not python.exists():
                python.symlink_to(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
        folder.mkdir(exist_ok=True)
        if not is_like_isaac:
            return f"{folder}:{SYSTEM_PATH}"
        for program in (program_file for place in SYSTEM_PATH.split(":") for program_file in Path(place).iterdir()):
            if not re.match("python|pypy", program.name) and not os.path.lexists(folder / program.name):
                (folder / program.name).symlink_to(program)
        return str(folder)

    def words(self, command: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """What to start, with which environment, so that the container's paths lead here."""
        if isolates():
            inside = [sys.executable, "-IS", str(Path(__file__).with_name("enclosed.py")), str(self.disk)]
            own = {place: str(self.disk / place.lstrip("/")) for place in self.own}  # over what this machine has there
            mounts = json.dumps(own | dict(self.mounts))
            return [*UNSHARE, *inside, str(self.scratch / "root"), mounts, str(self.user), *command], dict(environment)
        mapped = {name: self._mapped(value) for name, value in environment.items()}
        return [self._mapped(word) for word in command], mapped

    def _mapped(self, text: str) -> str:
        """Without namespaces of one's own: the paths themselves are others. Those inside of files stay."""
        paths = sorted((f"/{path.relative_to(self.disk)}" for path in self.disk.rglob("*")), key=len, reverse=True)
        for path in (path for path in paths if path.count("/") > 1):
            text = re.sub(rf"(?<![\w./:-]){re.escape(path)}(?![\w-])", str(self.disk) + path, text)
        return text

    def clear(self) -> None:
        """The disk is gone."""
        shutil.rmtree(self.scratch, ignore_errors=True)


def get_task_output(workflow: str, task: str) -> str:
    """Where OSMO keeps what a task left for those that depend on it; `WORKFLOW:TASK` is one of another workflow."""
    earlier, _, name = task.rpartition(":")
    return f"s3://osmo-workflow-data/{earlier or workflow}/{name}"


def _bring(source: Mapping[str, Any], folder: Path, store: Store, workflow: str) -> Iterator[str]:
    """An input into its folder; what OSMO says about it."""
    if "dataset" in source:
        name = source["dataset"]["name"]
        url, folder = store.dataset(name), folder / name.rpartition("/")[2].partition(":")[0]
    else:
        url = source.get("url") or get_task_output(workflow, source["task"])
    if not store.keys(url):
        yield f"No entries found for prefix {store.place(url).prefix}."
    store.download(url, folder, source.get("regex"))
    yield f"Downloaded {url}"


def isolates() -> bool:
    """Whether a container's paths are its own: not where the machine forbids it, nor where it is asked not to be."""
    return not os.environ.get("OSMO_STAND_IN_MAPS_PATHS") and _can()


@functools.cache
def _can() -> bool:
    return (
        shutil.which(UNSHARE[0]) is not None and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0
    )
