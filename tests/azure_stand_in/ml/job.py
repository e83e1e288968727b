"""A job as its compute sees it: its inputs, and its reports; and a job of jobs."""

import contextlib
import copy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azure_stand_in.ml import addresses, assets
from azure_stand_in.ml.contents import Ml, now

LOG = "user_logs/std_log.txt"
LOGS = "azureml"
"""The container of what runs left."""
WAITING = (
    *("NotStarted", "Unapproved", "Scheduled", "Starting", "Provisioning"),
    *("Preparing", "Queued", "Pausing", "Paused"),
)
BEGUN = ("Running", "Finalizing", "CancelRequested", "NotResponding", "Unknown")
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
    """A command job of a workspace. body: the properties, as they were sent.

    code: the container and the prefix of its code. clients: the client ids of the identities of its compute. holder:
    the principal whose roles count where inputs and outputs lie; empty where the datastore's own credentials do.
    cancelled: set when it was asked to end. ended: set when it has. parent: the pipeline or sweep that it is a part of,
    which is told of each change by `changed`. children: those of its own that could begin so far.
    """

    def __init__(self, ml: Ml, name: str, body: Mapping[str, Any]) -> None:
        self.ml, self.name, self.body = ml, name, copy.deepcopy(dict(body))
        self.at, self.here, self.store = f"{ml.at}/jobs/{name}", ml.here, ml.here.store
        self.cancelled, self.ended = threading.Event(), threading.Event()
        self.status = "NotStarted"
        self.error: dict[str, Any] | None = None
        self.files: list[str] = []
        self.times: dict[str, str] = {"createdUtc": now()}
        self.lock = threading.RLock()
        self.parent: Job | None = None
        self.children: dict[str, Job] = {}
        self.changed: Callable[[], object] = lambda: None
        identity = self._compute.get("identity") or {}
        users = {
            user_identity["clientId"]: user_identity["principalId"]
            for user_identity in identity.get("userAssignedIdentities", {}).values()
        }
        self.clients, self.holder = tuple(users), self._find_holder(users, identity.get("principalId", ""))
        self.inputs = {
            key: _find_input(ml, job_input) for key, job_input in self._given("inputs") if job_input.get("uri")
        }
        self.outputs = {key: self._find_output(key, job_output) for key, job_output in self._given("outputs")}
        self.code: tuple[str, str] | None = None
        if code := addresses.asset(str(self.body.get("codeId") or ""), ml):
            lies = addresses.folder(ml.codes[code.name.lower()][code.version]["codeUri"], ml)
            self.code = lies.container, lies.prefix

    @property
    def _compute(self) -> dict[str, Any]:
        return self.ml.computes.get(self.compute.lower(), {})

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

    def begin(self) -> None:
        """It is a job of the workspace, with a run of MLflow's, and it is on its way to a compute."""
        self.ml.jobs[self.name.lower()] = self
        if self.here.runs:
            self.here.runs.begin(self.name, self.experiment, str(self.body.get("displayName") or ""))
        self.advance()

    def advance(self) -> None:
        """Hand it to who runs jobs."""
        if self.here.runner:
            threading.Thread(target=self._run, daemon=True, name=f"job {self.name}").start()

    def state(self, word: str) -> None:
        """How it is from now on. Raises ValueError for no such word, or when it has ended."""
        with self.lock:
            self._become(word)
        self.changed()

    def fail(self, code: str, message: str, **more: Any) -> None:
        """It failed, and why. more: beside these two in the error, as `innerError`."""
        with self.lock:
            self._become("Failed")
            self.error = {"code": code, "message": message, **more}
        self.changed()

    def say(self, *lines: str, file: str = LOG) -> None:
        with self.lock:
            self.store.append(LOGS, self.blob(file), "".join(f"{line}\n" for line in lines).encode())
            if file not in self.files:
                self.files.append(file)

    def read_log(self, file: str = LOG) -> list[str]:
        return (self.store.get(LOGS, self.blob(file)) or b"").decode().splitlines()

    def cancel(self) -> None:
        """Ask for its end; one that nobody runs has ended with that, unless the workspace is slow."""
        with self.lock:
            if not self.finished:
                self.status = "CancelRequested"
                self.cancelled.set()
        self.end_cancelled()

    def end_cancelled(self) -> None:
        """What its end takes: of one that is run, its runner sees it."""
        if not (self.finished or self.here.runner) and self.here.cancelling == "at-once":
            self.state("Canceled")

    def blob(self, file: str) -> str:
        return f"ExperimentRun/dcid.{self.name}/{file}"

    def _become(self, word: str) -> None:
        if word not in (*WAITING, *BEGUN, *ENDS):
            raise ValueError(f"no job is ever {word}")
        if self.finished and word != self.status:
            raise ValueError(f"it is {self.status}, for ever")
        self.status = word
        if word == "Running":
            self.times.setdefault("startTimeUtc", now())
        if self.finished:
            self.times.setdefault("endTimeUtc", now())
            self.ended.set()

    def _run(self) -> None:
        with contextlib.suppress(ValueError):  # a test said otherwise meanwhile
            try:
                self.state("Queued")
                self.here.runner(self)
            except Exception as error:
                if not self.finished:
                    self.fail("ServiceError", f"{type(error).__name__}: {error}")
            else:
                if not self.finished:
                    self.state("Canceled" if self.cancelled.is_set() else "Completed")

    def _given(self, what: str) -> list[tuple[str, dict[str, Any]]]:
        return [*(self.body.get(what) or {}).items()]

    def _find_holder(self, users: Mapping[str, str], system: str) -> str:
        """A job that names no identity gets the system's of its compute, else the last."""
        identity = self.body.get("identity") or {}
        if identity.get("identityType") != "Managed" or not self._compute:
            return ""
        return users[identity["clientId"]] if identity.get("clientId") else system or [*users.values()][-1]

    def _find_output(self, output: str, job_output: dict[str, Any]) -> Bound:
        usual = f"azureml://datastores/workspaceblobstore/paths/azureml/{self.name}/{output}/"
        uri = str(job_output.get("uri") or usual).replace("${{name}}", self.name).replace("${{output_name}}", output)
        at = addresses.folder(uri, self.ml)
        return Bound(
            job_output["jobOutputType"], job_output.get("mode") or "ReadWriteMount", at.account, at.container, at.prefix
        )


def _find_input(ml: Ml, job_input: dict[str, Any]) -> Bound:
    named = addresses.asset(job_input["uri"], ml)
    at = addresses.folder(assets.find_address(ml, named) if named else job_input["uri"], ml)
    return Bound(
        job_input["jobInputType"], job_input.get("mode") or "ReadOnlyMount", at.account, at.container, at.prefix
    )


class Parent(Job):
    """A job of jobs. children: its steps or trials, by their names in it, once they could begin."""

    def __init__(self, ml: Ml, name: str, body: Mapping[str, Any]) -> None:
        super().__init__(ml, name, body)
        self._advancing = threading.RLock()

    @property
    def live(self) -> list[Job]:
        """The children that have not ended."""
        return [child for child in self.children.values() if not child.finished]

    def advance(self) -> None:
        """Begin each child that may run; end with the last."""
        with self._advancing:
            if self.finished:
                return
            self.begin_children()
            if self.finished:
                return
            if self.live:
                if self.status not in ("Running", "CancelRequested"):
                    self.state("Running")
            elif self.cancelled.is_set():
                self.state("Canceled")
            else:
                self.conclude()

    def begin_children(self) -> None:
        """Begin each that may run."""
        raise NotImplementedError

    def conclude(self) -> None:
        """None of them runs, and none will."""
        raise NotImplementedError

    def begin_child(self, key: str, name: str, properties: Mapping[str, Any]) -> None:
        child = self.children[key] = Job(self.ml, name, properties)
        child.parent, child.changed = self, self.advance
        child.begin()

    def end_cancelled(self) -> None:
        """The children that run end, and nothing begins any more."""
        for child in [*self.children.values()]:
            child.cancel()
        self.advance()
