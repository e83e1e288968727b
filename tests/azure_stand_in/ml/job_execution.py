"""Execution of a job as a compute of the workspace would, in threads of this process."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from osmo_stand_in.pod.namespace import Namespace
from osmo_stand_in.pod.room import Room

from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job
from azure_stand_in.ml.job_folders import DataError, Laid, Mounted, Uploaded, check_identity, lay
from azure_stand_in.mlflow_server import Runs
from azure_stand_in.sign_in import Managed

TICK = 0.05
CHUNK = 64 * 1024
FAILED = (
    "Execution failed. User process '{name}' exited with status code {code}. Please check log file "
    "'user_logs/std_log.txt' for error details. Error: {last}"
)
TRACKED = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
"""What becomes of a job's MLflow run, by the job's end."""
KEPT = {"Upload": Uploaded, "ReadWriteMount": Mounted}


class Machine:
    """Executes each new job: `azureml.here.runner = machine`.

    folder: for its disks. environ: beside what the platform sets, such as what an image brings. spelled: how it spells
    the names of inputs and outputs, `declared` or `upper`. like_app_service: whether the identity is asked for as App
    Service has it, in place of Azure Machine Learning's own way. before: called before the first attempt of a job.
    own: the folders that a container has for itself. grace: the seconds between the two signals that end a process.
    """

    def __init__(self, azureml: AzureML, folder: Path, environ: Mapping[str, str]) -> None:
        self.azureml, self.folder = azureml, folder
        self.environ = dict(environ)
        self.spelled = "declared"
        self.like_app_service = False
        self.before: Callable[[Job], object] = lambda job: None
        self.own = ("/tmp/robotrain",)
        self.grace = 30.0
        self.running: dict[str, Running] = {}
        self._changed = threading.Condition()

    def __call__(self, job: Job) -> None:
        self.before(job)
        running = Running(self, job)
        with self._changed:
            self.running[job.name] = running
            self._changed.notify_all()
        running.execute()

    @property
    def runs(self) -> Runs:
        made: Runs = self.azureml.servers["history"].runs
        return made

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
    """A job on its machine, attempt after attempt. attempts: how many there were."""

    def __init__(self, machine: Machine, job: Job) -> None:
        self.job = job
        self.attempts = 0
        self._machine = machine
        self._room = Room(machine.folder / job.name, machine.own, user=0)  # it mounts inside
        self._process: subprocess.Popen[bytes] | None = None
        self._namespace = Namespace()
        self._begun, self._ended = threading.Event(), threading.Event()
        self._preempted = self._stopped = False
        self._failure: BaseException | None = None
        self._last = self._experiment = ""

    @property
    def pid(self) -> int:
        """Of the running attempt. Waits for it to begin."""
        assert self._begun.wait(60), self._failure
        assert self._process is not None, self._failure
        return self._process.pid

    def execute(self) -> None:
        runs, display = self._machine.runs, str(self.job.body.get("displayName") or "")
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
        """Its machine is wanted for something else: SIGTERM where there is grace, SIGKILL, and the disk is gone."""
        assert self.pid
        self._preempted = True
        self._end_process(grace)

    def stop(self) -> None:
        self._stopped = True
        while not self._ended.wait(TICK):
            self._kill()

    def _attempt(self) -> bool:
        """One attempt. Whether there is to be another."""
        self.attempts += 1
        self._room.clear()
        if self._stopped or self._cancelled():
            return False
        self.job.state("Preparing")
        try:
            check_identity(self._machine.azureml.manager, self.job)
            laid = lay(self._room, self.job)
        except DataError as error:
            self.job.fail("UserError", str(error))
            return False
        managed = Managed(*self.job.clients)
        with managed, contextlib.ExitStack() as kept:
            for name, folder in laid.outputs.items():
                to = self.job.outputs[name]
                kept.enter_context(KEPT[to.mode](self.job.store, to, folder, self._lost))
            code = self._execute(laid, managed)
        return self._outcome(laid, code)

    def _execute(self, laid: Laid, managed: Managed) -> int:
        """The exit code of the process."""
        home = self._room.scratch / "home"
        home.mkdir()
        command = laid.command(self.job.command)
        machine = self._machine
        identity = managed.environ if machine.like_app_service else managed.environ_of_job
        environ = environ_of(machine.azureml, self.job, laid, identity, machine.spelled, self._experiment)
        image = {"PATH": self._room.path(), "HOME": str(home)}
        typed, environ = self._room.words(laid.words(command), {**image, **environ, **machine.environ})
        self._process = subprocess.Popen(
            typed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            cwd=home,
            start_new_session=True,
        )
        self.job.state("Running")
        self._begun.set()
        return self._follow(self._process)

    def _follow(self, process: "subprocess.Popen[bytes]") -> int:
        assert process.stdout is not None
        reading = threading.Thread(target=self._read, args=(process.stdout,))
        reading.start()
        until = time.monotonic() + timeout(self.job)
        while process.poll() is None:
            self._namespace.look(process.pid)
            if self.job.cancelled.is_set() or time.monotonic() > until:
                self.job.cancelled.set()
                self._end_process(self._machine.grace)
            time.sleep(TICK)
        self._namespace.end()
        reading.join()
        self._begun.clear()
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def _read(self, pipe: IO[bytes]) -> None:
        """Whole lines to the job's log, as they come."""
        held = b""
        with pipe:
            while fresh := os.read(pipe.fileno(), CHUNK):
                *whole, held = (held + fresh).split(b"\n")
                self._say(whole)
                time.sleep(TICK)  # not a request for each line
            self._say([held] if held else [])

    def _say(self, lines: list[bytes]) -> None:
        if texts := [line.decode(errors="replace") for line in lines]:
            self._last = next((line for line in reversed(texts) if line.strip()), self._last)
            self.job.say(*texts)

    def _outcome(self, laid: Laid, code: int) -> bool:
        if self._stopped or self._cancelled():
            return False
        if self._preempted:
            self._preempted = False
            self.job.state("Queued")
            return True
        if code:
            name = re.split(r"\s", laid.command(self.job.command).strip(), maxsplit=1)[0]
            self.job.fail("ExecutionFailed", FAILED.format(name=name, code=code, last=self._last))
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

    def _end_process(self, grace: float) -> None:
        assert self._process is not None
        if grace:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._namespace.sweep()


HOST = "westeurope.api.azureml.ms"
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
    found = DURATION.fullmatch(timeout)
    assert found, f"{timeout} is no duration"
    return sum(float(one or 0) * seconds for one, seconds in zip(found.groups(), SECONDS, strict=True))


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
