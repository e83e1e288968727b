"""A job as its compute sees it: its inputs, and its reports."""

import datetime
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azure_stand_in.blobs import Store

LOG = "user_logs/std_log.txt"
LOGS = "azureml"
"""The container of what runs left."""
ALIVE = (
    "NotStarted",
    "Queued",
    "Provisioning",
    "Preparing",
    "Starting",
    "Running",
    "Finalizing",
    "CancelRequested",
    "NotResponding",
    "Paused",
)
ENDS = ("Completed", "Failed", "Canceled")


@dataclass(frozen=True)
class Bound:
    """A folder of blobs that a job reads or writes. kind: as `uri_folder`. mode: as `ReadOnlyMount`."""

    kind: str
    mode: str
    account: str
    container: str
    prefix: str


class Job:
    """name, at: its own, and its resource id. body: the properties, as they were sent.

    code: the container and the prefix of its code. clients: the client ids of the identities of its compute. holder:
    the principal whose roles count where inputs and outputs lie; empty where the datastore's own credentials do.
    cancelled: set when it was asked to end. ended: set when it has. parent: the pipeline or sweep that it is
    a part of, which is told of each change by `changed`. children: those of its own that could begin so far.
    """

    def __init__(
        self,
        name: str,
        at: str,
        body: Mapping[str, Any],
        store: Store,
        code: tuple[str, str] | None,
        inputs: Mapping[str, Bound],
        outputs: Mapping[str, Bound],
        clients: tuple[str, ...],
        image: str,
        holder: str = "",
    ) -> None:
        self.name, self.at, self.body, self.store = name, at, dict(body), store
        self.code, self.inputs, self.outputs = code, dict(inputs), dict(outputs)
        self.clients, self.image, self.holder = clients, image, holder
        self.cancelled, self.ended = threading.Event(), threading.Event()
        self.status = "NotStarted"
        self.error: dict[str, Any] | None = None
        self.files: list[str] = []
        self.times: dict[str, str] = {"createdUtc": now()}
        self.resources: dict[str, Any] = {}
        self.lock = threading.RLock()
        self.parent: Job | None = None
        self.children: dict[str, Job] = {}
        self.changed: Callable[[], object] = lambda: None

    @property
    def command(self) -> str:
        return str(self.body["command"])

    @property
    def environ(self) -> dict[str, str]:
        return dict(self.body.get("environmentVariables") or {})

    @property
    def experiment(self) -> str:
        return str(self.body.get("experimentName") or "Default")

    @property
    def compute(self) -> str:
        return str(self.body.get("computeId") or "").rpartition("/")[2]

    @property
    def finished(self) -> bool:
        return self.status in ENDS

    def state(self, word: str) -> None:
        """How it is from now on. Raises ValueError for no such word, or when it has ended."""
        with self.lock:
            self._become(word)
        self.changed()

    def fail(self, code: str, message: str, **more: Any) -> None:
        """It failed, and why. more: beside these two in the error, as `innerError`."""
        with self.lock:
            self._may("Failed")
            self.error = {"code": code, "message": message, **more}
            self._become("Failed")
        self.changed()

    def say(self, *lines: str, file: str = LOG) -> None:
        with self.lock:
            self.store.append(LOGS, self.blob(file), "".join(f"{line}\n" for line in lines).encode())
            if file not in self.files:
                self.files.append(file)

    def read_log(self, file: str = LOG) -> list[str]:
        return (self.store.get(LOGS, self.blob(file)) or b"").decode().splitlines()

    def cancel(self) -> None:
        with self.lock:
            if not self.finished:
                self.status = "CancelRequested"
                self.cancelled.set()

    def _become(self, word: str) -> None:
        self._may(word)
        self.status = word
        if word == "Running":
            self.times.setdefault("startTimeUtc", now())
        if self.finished:
            self.times.setdefault("endTimeUtc", now())
            self.ended.set()

    def _may(self, word: str) -> None:
        if word not in (*ALIVE, *ENDS):
            raise ValueError(f"no job is ever {word}")
        if self.finished and word != self.status:
            raise ValueError(f"it is {self.status}, for ever")

    def blob(self, file: str) -> str:
        return f"ExperimentRun/dcid.{self.name}/{file}"


def now() -> str:
    """As Azure writes times."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
