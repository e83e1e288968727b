"""Execution of a job as a compute of the workspace would, in threads of this process."""

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from free_ports import find_free_port

from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.contents import HOST
from azure_stand_in.ml.job import Job
from azure_stand_in.ml.job_folders import DataError, Laid, Mounted, Uploaded, check_identity, lay
from azure_stand_in.ml.job_node import TICK, Node, count_nodes, make_group_environ
from azure_stand_in.sign_in import Managed

FAILED = (
    "Execution failed. User process '{name}' exited with status code {code}. Please check log file "
    "'{log}' for error details. Error: {last}"
)
TRACKED = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
"""What becomes of a job's MLflow run, by the job's end."""
OWN = ("/tmp/robotrain",)
"""The folders that a container has for itself."""
GRACE = 30.0
"""The seconds between the two signals that end a process."""
KEPT = {"Upload": Uploaded, "ReadWriteMount": Mounted}


class Machine:
    """Executes each new job: `azureml.here.runner = machine`.

    folder: for its disks. environ: beside what the platform sets, such as what an image brings. spelled: how it spells
    the names of inputs and outputs, `declared` or `upper`. like_app_service: whether the identity is asked for as App
    Service has it, in place of Azure Machine Learning's own way.
    """

    def __init__(self, azureml: AzureML, folder: Path, environ: Mapping[str, str]) -> None:
        self.azureml, self.folder = azureml, folder
        self.environ = dict(environ)
        self.spelled = "declared"
        self.like_app_service = False
        self.running: dict[str, Running] = {}
        self._changed = threading.Condition()

    def __call__(self, job: Job) -> None:
        running = Running(self, job)
        with self._changed:
            self.running[job.name] = running
            self._changed.notify_all()
        running.execute()

    def taken(self, name: str, timeout: float = 60.0) -> "Running":
        """The job of that name, once it is executed here."""
        with self._changed:
            assert self._changed.wait_for(lambda: name in self.running, timeout), f"{name} was never made"
            return self.running[name]

    def wait(self, name: str, timeout: float = 300.0) -> str:
        """The last status of a job. Raises what went wrong with its machine, TimeoutError."""
        return self.taken(name).wait(timeout)

    def stop(self) -> None:
        for running in self.running.values():
            running.stop()


class Running:
    """A job on its machines, attempt after attempt. attempts: how many there were. nodes: its machines."""

    def __init__(self, machine: Machine, job: Job) -> None:
        self.job = job
        self.attempts = 0
        self._machine = machine
        folders = [machine.folder / f"{job.name}{f'-node{rank}' * bool(rank)}" for rank in range(count_nodes(job))]
        self.nodes = [Node(job, folder, OWN, rank) for rank, folder in enumerate(folders)]
        self._failed = self.nodes[0]
        self._begun, self._ended = threading.Event(), threading.Event()
        self._preempted = self._stopped = False
        self._failure: BaseException | None = None
        self._experiment = ""

    @property
    def pid(self) -> int:
        """Of the running attempt, on its first machine. Waits for it to begin."""
        assert self._begun.wait(60), self._failure
        process = self.nodes[0].process
        assert process is not None, self._failure
        return process.pid

    def execute(self) -> None:
        runs, display = self._machine.azureml.runs, str(self.job.body.get("displayName") or "")
        try:
            self._experiment = runs.begin(self.job.name, self.job.experiment, display)
            while self._attempt():
                pass
            if self.job.finished:
                runs.end(self.job.name, TRACKED[self.job.status])
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._ended.set()

    def wait(self, timeout: float) -> str:
        """Its last status. Raises what went wrong here, TimeoutError, and nothing runs then."""
        if not self._ended.wait(timeout):
            self.stop()
            raise TimeoutError(f"{self.job.name} still runs after {timeout} s")
        if self._failure is not None:
            raise self._failure
        return str(self.job.status)

    def preempt(self, grace: float = 0.0) -> None:
        """A machine of it, the last one, is wanted for something else: SIGTERM where there is grace, SIGKILL, and its
        disk is gone. So are the others then: all of the job begins again.
        """
        assert self.pid
        self._preempted = True
        self._end([self.nodes[-1]], grace)
        self._end(self.nodes, grace)

    def stop(self) -> None:
        self._stopped = True
        while not self._ended.wait(TICK):
            self._kill(self.nodes)

    def _attempt(self) -> bool:
        """One attempt. Whether there is to be another."""
        self.attempts += 1
        for node in self.nodes:
            node.room.clear()
        if self._stopped or self._cancelled():
            return False
        self.job.state("Preparing")
        try:
            check_identity(self._machine.azureml.manager, self.job)
            places = [lay(node.room, self.job) for node in self.nodes]
        except DataError as error:
            self.job.fail("UserError", str(error))
            return False
        managed = Managed(*self.job.clients)
        with managed, contextlib.ExitStack() as stack:
            for name, folder in [output for laid in places for output in laid.outputs.items()]:
                to = self.job.outputs[name]
                stack.enter_context(KEPT[to.mode](self.job.store, to, folder, self._lost))
            code = self._execute(places, managed)
        return self._outcome(places[0], code)

    def _execute(self, places: Sequence[Laid], managed: Managed) -> int:
        """The exit code of the process that failed first; 0 if none did."""
        machine = self._machine
        identity = managed.environ if machine.like_app_service else managed.environ_of_job
        groups = make_group_environ(self.job, find_free_port())
        for node, laid, group in zip(self.nodes, places, groups, strict=True):
            environ = environ_of(machine.azureml, self.job, laid, identity, machine.spelled, self._experiment)
            node.start(laid, {**environ, **group, **machine.environ})
        self.job.state("Running")
        self._begun.set()
        return self._follow()

    def _follow(self) -> int:
        """Wait for all of them; none goes on where one failed."""
        until, failed = time.monotonic() + timeout(self.job), None
        while running := [node for node in self.nodes if node.look() is None]:
            failed = failed or next((node for node in self.nodes if node.look()), None)
            if failed:
                self._end(running, 0.0)
            elif self.job.cancelled.is_set() or time.monotonic() > until:
                self.job.cancelled.set()
                self._end(running, GRACE)
            time.sleep(TICK)
        codes = {node.rank: node.end() for node in self.nodes}
        self._failed = failed or next((node for node in self.nodes if codes[node.rank]), self.nodes[0])
        self._begun.clear()
        return codes[self._failed.rank]

    def _outcome(self, laid: Laid, code: int) -> bool:
        if self._stopped or self._cancelled():
            return False
        if self._preempted:
            self._preempted = False
            self.job.state("Queued")
            return True
        if code:
            name = re.split(r"\s", laid.command(self.job.command).strip(), maxsplit=1)[0]
            self.job.fail(
                "ExecutionFailed", FAILED.format(name=name, code=code, log=self._failed.log, last=self._failed.last)
            )
        else:
            self.job.state("Finalizing")
            self.job.state("Completed")
        return False

    def _lost(self) -> bool:
        """Whether what lies on the disk is not looked at any more."""
        return self._preempted or self._stopped or self.job.cancelled.is_set()

    def _cancelled(self) -> bool:
        """Whether it was told to end; then it has."""
        if self.job.cancelled.is_set() and not self.job.finished:
            self.job.state("Canceled")
        return bool(self.job.finished)

    def _end(self, nodes: Sequence[Node], grace: float) -> None:
        if grace:
            for node in nodes:
                node.terminate()
            until = time.monotonic() + grace
            for node in nodes:
                assert node.process is not None
                with contextlib.suppress(subprocess.TimeoutExpired):
                    node.process.wait(max(0.0, until - time.monotonic()))
        self._kill(nodes)

    def _kill(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            node.kill()


DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
SECONDS = (86400, 3600, 60, 1)


def environ_of(
    azureml: AzureML, job: Job, laid: Laid, identity: Mapping[str, str], spelled: str, experiment: str
) -> dict[str, str]:
    """The job's own names, and over them the platform's. identity: those of it. experiment: the id of the job's."""
    return {**azureml.way, **job.environ, **_of_run(azureml, job, experiment), **identity, **laid.names(spelled)}


def timeout(job: Job) -> float:
    timeout = (job.body.get("limits") or {}).get("timeout")
    if not timeout:
        return float("inf")
    match = DURATION.fullmatch(timeout)
    assert match, f"{timeout} is no duration"
    return sum(float(amount or 0) * seconds for amount, seconds in zip(match.groups(), SECONDS, strict=True))


def _of_run(azureml: AzureML, job: Job, experiment: str) -> dict[str, str]:
    subscription, group, workspace = azureml.names
    return {
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": (job.parent or job).name,
        "AZUREML_ARM_SUBSCRIPTION": subscription,
        "AZUREML_ARM_RESOURCEGROUP": group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace,
        "MLFLOW_RUN_ID": job.name,
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "MLFLOW_EXPERIMENT_ID": experiment,
        "MLFLOW_TRACKING_URI": f"azureml://{HOST}/mlflow/v1.0{azureml.at}",
    }
