"""The folders that a compute prepares for a job: its code, inputs and outputs."""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osmo_stand_in.pod.room import Room, isolates

from azure_stand_in.manager import CONTRIBUTOR, READER, Manager
from azure_stand_in.ml.job import Bound, Job

MOUNTED = "ReadOnlyMount"
EXPRESSION = re.compile(r"\$\{\{\s*(inputs|outputs)\.(\w+)\s*\}\}")
NOT_FOUND = (
    '{"NonCompliant":"DataAccessError(NotFound)"} {"code": "data-capability.UriMountSession.PyFuseError"} '
    "ScriptExecution.StreamAccess.NotFound: The requested stream was not found:"
)
REFUSED = (
    "ScriptExecution.{what}.Authentication: Authentication failed when trying to access the stream. Make sure you have"
    " correct permissions. AuthorizationPermissionMismatch: the identity {holder} has no role on '{account}'."
)


class DataError(Exception):
    """An input that is not there, or may not be read: what the job is failed with."""


def check_identity(manager: Manager, job: Job) -> None:
    """Raise DataError unless the identity that mounts inputs and writes outputs has a role on their accounts."""
    for what, bounds, roles in (
        ("StreamAccess", job.inputs, (READER, CONTRIBUTOR)),
        ("WriteStreams", job.outputs, (CONTRIBUTOR,)),
    ):
        for bound in bounds.values():
            if job.holder and not _holds(manager, job.holder, bound, roles):
                raise DataError(REFUSED.format(what=what, holder=job.holder, account=bound.account))


def _holds(manager: Manager, holder: str, bound: Bound, roles: tuple[str, ...]) -> bool:
    account = manager.account_id(bound.account)
    at = f"{account}/blobServices/default/containers/{bound.container}/".lower()
    return any(
        assignment["principalId"] == holder
        and assignment["roleDefinitionId"].rpartition("/")[2] in roles
        and at.startswith(f"{assignment['scope'].rstrip('/')}/".lower())
        for assignment in manager.there.assignments
    )


@dataclass(frozen=True)
class Laid:
    """What was laid out. work: the folder of the code. values: of inputs and outputs, by `inputs` or `outputs` and
    name. outputs: their folders on this machine. shut: folders that are read alone. All but outputs as the container
    sees them.
    """

    work: str
    values: Mapping[tuple[str, str], str]
    outputs: Mapping[str, Path]
    shut: list[str] = field(default_factory=list)

    def command(self, text: str) -> str:
        """The job's command with its expressions filled in: as it is nowhere else."""
        return EXPRESSION.sub(lambda match: self.values[match[1], match[2]], text)

    def words(self, command: str) -> list[str]:
        """What starts a command where it belongs, with bash."""
        enclosed = Path(__file__).with_name("job_container.py")
        return [sys.executable, "-IS", str(enclosed), self.work, json.dumps(self.shut), "/bin/bash", "-c", command]

    def names(self, spelled: str) -> dict[str, str]:
        """The names of the environment that say where inputs and outputs are."""
        made = {f"AZURE_ML_{kind[:-1].upper()}_{name}": value for (kind, name), value in self.values.items()}
        return {name.upper(): value for name, value in made.items()} if spelled == "upper" else made


def lay(room: Room, job: Job) -> Laid:
    """All of it, on the container's disk. Raises DataError."""
    home = f"/mnt/azureml/cr/j/{job.name}"
    work, data = f"{home}/exe/wd", f"{home}/cap/data-capability/wd"
    for folder in (work, data, *room.own):
        _on(room, folder).mkdir(parents=True)
    if job.code:
        _fetch(job.store, *job.code, _on(room, work))
    inputs = job.body.get("inputs") or {}
    values, shut = (
        {("inputs", name): str(job_input["value"]) for name, job_input in inputs.items() if "value" in job_input},
        [],
    )
    for name, bound in job.inputs.items():
        values["inputs", name] = _brought(room, job.store, bound, f"{data}/INPUT_{name}")
        if bound.mode == MOUNTED and isolates():
            shut.append(f"{data}/INPUT_{name}")
    outputs = {name: _on(room, f"{data}/{name}") for name in job.outputs}
    for name, folder in outputs.items():
        folder.mkdir()
        values["outputs", name] = f"{data}/{name}"
    return Laid(work, values, outputs, shut)


def _on(room: Room, path: str) -> Path:
    """Where a path of the container lies on this machine."""
    return room.disk / path.lstrip("/")


def _brought(room: Room, store: Any, bound: Bound, path: str) -> str:
    """The folder that the job finds an input at."""
    target = _on(room, path)
    target.mkdir()
    if not _fetch(store, bound.container, bound.prefix, target):
        raise DataError(f"{NOT_FOUND} {bound.prefix}")
    return path


def _fetch(store: Any, container: str, prefix: str, target: Path) -> int:
    """The blobs below a prefix, as files: how many."""
    base = f"{prefix.strip('/')}/"
    names = store.names(container, base)
    for name in names:
        file = target / name.removeprefix(base)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.get(container, name) or b"")
    return len(names)


TICK = 0.1


class Uploaded:
    """One with the mode `upload`: what lies in the folder when the process has ended, unless that is lost."""

    def __init__(self, store: Any, to: Bound, folder: Path, lost: Callable[[], bool]) -> None:
        self.store, self.to, self.folder, self.lost = store, to, folder, lost
        self.base = f"{to.prefix.strip('/')}/"

    def __enter__(self) -> None:
        pass

    def __exit__(self, *how: object) -> None:
        if not self.lost():
            files = {self.base + name: (self.folder / name).read_bytes() for name in _files(self.folder)}
            self.store.put(self.to.container, files)


class Mounted(Uploaded):
    """One with the mode `rw_mount`: what is written there is a blob, and what is a blob there is read."""

    def __enter__(self) -> None:
        for name in self.store.names(self.to.container, self.base):
            file = self.folder / name.removeprefix(self.base)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.store.get(self.to.container, name) or b"")
        self._known = _files(self.folder)
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def __exit__(self, *how: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self._bring()

    def _carry(self) -> None:
        try:
            while not self._over.wait(TICK):
                self._bring()
        except BaseException as error:
            self._failure = error

    def _bring(self) -> None:
        now, fresh = _files(self.folder), {}
        for name in [name for name, state in now.items() if self._known.get(name) != state]:
            try:
                fresh[self.base + name] = (self.folder / name).read_bytes()
            except FileNotFoundError:  # renamed meanwhile
                now.pop(name)
        self.store.put(self.to.container, fresh)
        for name in self._known.keys() - now.keys():
            self.store.delete(self.to.container, self.base + name)
        self._known = now


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Each file below a folder, and what tells that it is another one now. Storage knows no links."""
    states_by_path = {}
    for at, _, names in os.walk(folder):  # which passes over folders that were renamed meanwhile
        for path in (Path(at, name) for name in names):
            assert not path.is_symlink(), f"{path}: a datastore keeps no links"
            with suppress(FileNotFoundError):
                state = path.stat()
                states_by_path[path.relative_to(folder).as_posix()] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return states_by_path
