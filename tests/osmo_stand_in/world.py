"""OSMO as a world of the conformance kit."""

import contextlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

from robotrain.model.reference import Reference
from robotrain.plugin import Plan, RunState
from robotrain.testing import World
from robotrain_runtime.contract import document
from robotrain_runtime.plugin import JobDocument

from osmo_stand_in import config
from osmo_stand_in.command import main
from osmo_stand_in.pod import tokens
from osmo_stand_in.pod.room import Room
from osmo_stand_in.service import rows
from osmo_stand_in.stand_in import OsmoStandIn

PENDING = ("SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RESCHEDULED")
"""A task's words; the workflow itself is PENDING then."""
FAILED = tuple(word for word in rows.STATUSES if word.startswith("FAILED") and word != "FAILED_CANCELED")
PAYLOAD = "payload.tar.bz2"
"""In a plan whose archive is too large for the workflow itself: it is uploaded beside it."""
ARCHIVE, PLACE = r"(?<=')[^'\s]{1000,}(?=')", "placeholder-of-the-archive"


KEPT = ("--publish-url", "https://account1.blob.core.windows.net/train/kept")
"""What a job says whose outputs are all that it makes."""


class CutShort(BaseException):
    """Nobody catches it by chance."""


@contextlib.contextmanager
def cut_short(*words: str, answered: bool = False) -> Iterator[None]:
    """Until its end, the first call that begins with these words is the last. answered: when it was made, and its
    answer is not heard; without it, before it is made.
    """
    start = subprocess.Popen.__init__

    def begin(self: "subprocess.Popen[bytes]", command: list[str], **how: object) -> None:
        meant = tuple(command[1 : 1 + len(words)]) == words
        if meant and not answered:
            raise CutShort
        start(self, command, **how)
        if meant:
            self.wait()
            for pipe in (self.stdout, self.stderr):
                if pipe:
                    pipe.close()
            raise CutShort

    with mock.patch.object(subprocess.Popen, "__init__", begin):
        yield


class OsmoWorld(World):
    """The stand-in of the fixture `osmo`, with a storage account that folders can be uploaded to."""

    options = ("--pool", "default", "--tracking-uri", "none", "--storage-account", "account1")
    needs: Mapping[str, Sequence[str]] = {
        **dict.fromkeys(("lerobot-merge", "isaac-export"), KEPT),
        "model_asset": ("--tracking-uri", "azureml-workspace://sub-1/rg-1/ws-1"),
        **dict.fromkeys(("mlflow_run", "registered_model"), ("--tracking-uri", "https://mlflow.example")),
    }
    job = ("-d", f"lerobot/pusht@{'a' * 40}", "--training-steps", "10")
    native_states: Mapping[str, RunState] = {
        **dict.fromkeys(("PENDING", *PENDING), "pending"),
        "RUNNING": "running",
        "COMPLETED": "succeeded",
        **dict.fromkeys(FAILED, "failed"),
        **dict.fromkeys(("FAILED_SERVER_ERROR", "FAILED_BACKEND_ERROR", "FAILED_PREEMPTED"), "lost"),
        "FAILED_UPSTREAM": "failed",
        "FAILED_CANCELED": "cancelled",
    }
    requests: Mapping[str, object] = {
        "--gpus=2": 2,
        "--cpu=3": 3,
        "--memory=7Gi": "7Gi",
        "--storage=9Gi": "9Gi",
        "--exec-timeout=93m": "PT1H33M",
        "--queue-timeout=31m": "PT31M",
    }

    def __init__(self, osmo: OsmoStandIn) -> None:
        self.osmo = osmo

    def read_document(self, plan: Plan) -> JobDocument:
        """What the task's own command would unpack: the workflow goes through the command, Jinja and admission."""
        with tempfile.TemporaryDirectory() as folder:
            pod = Pod(Path(folder), plan)
            parsed = document.parse_document(pod.unpacked("job.json"))
            for mount in parsed.placement.mounts:
                assert pod.at(mount.folder).is_dir(), f"OSMO brings nothing for {mount.uri}"
        return parsed

    def read_payload(self, plan: Plan) -> Mapping[str, bytes]:
        """What lies in the task's archive below `payload`."""
        with tempfile.TemporaryDirectory() as folder:
            return Pod(Path(folder), plan).payload()

    def count_runs(self, run: str) -> int:
        return sum(
            workflow.name == run and workflow.status != "FAILED_SUBMISSION" for workflow in self.osmo.workflows.values()
        )

    def read_requests(self, reference: Reference) -> Mapping[str, object]:
        """What the service took of the workflow, after Jinja, in its own units."""
        spec = self.osmo.workflows[reference["workflow"]].spec
        resource_names = {"gpus": "gpu", "cpu": "cpu", "memory": "memory", "storage": "storage"}
        requests = {f"--{flag}": spec["resources"]["default"].get(name) for flag, name in resource_names.items()}
        times = {"--exec-timeout": "exec_timeout", "--queue-timeout": "queue_timeout"}
        return requests | {flag: spec.get("timeout", {}).get(name) for flag, name in times.items()}

    def set_native_state(self, reference: Reference, native: str) -> None:
        """The word is the workflow's and its task's, as far as both have it."""
        of_a_task = {"PENDING": "PROCESSING", "FAILED_SUBMISSION": "PROCESSING"}.get(native, native)
        of_the_workflow = {"FAILED_UPSTREAM": "FAILED", **dict.fromkeys(PENDING, "PENDING")}.get(native, native)
        self.osmo.set_state(reference["workflow"], status=of_the_workflow, task_status=of_a_task)

    def write_log(self, reference: Reference, *lines: str) -> None:
        self.osmo.say(reference["workflow"], *lines)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Connections to the service are refused."""
        self.osmo.fail("", "refused", times=None)
        yield
        self.osmo.configure(faults=[])

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """Before OSMO is asked what it has, before it is asked to take the workflow, and before its answer is heard."""
        yield cut_short("workflow", "list")
        yield cut_short("workflow", "submit")
        yield cut_short("workflow", "submit", answered=True)


class Pod:
    """What OSMO lays out for the one task of a plan's workflow, in a service of its own."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        osmo, order = OsmoStandIn(folder / "osmo"), json.loads(plan.files["osmo.json"])
        _furnish(osmo, order)
        name, task = _submitted(osmo, order["pool"], folder / "workflow.yaml", plan.files[plan.spec].decode())
        task = tokens.substituted(task, name, {})
        self.environment = tokens.environment(task, osmo.credentials)
        self.command = [tokens.expanded(word, self.environment) for word in task["command"]]
        self.room = Room(folder / "pod")
        if payload := plan.files.get(PAYLOAD):
            osmo.put(task["inputs"][-1]["url"], {PAYLOAD: payload})
        self.room.furnish(task, osmo.credentials, osmo.store, name)

    def at(self, path: str) -> Path:
        """Where a path of the container lies here; it may begin with `${NAME}` of its environment."""
        for name, value in self.environment.items():
            path = path.replace(f"${{{name}}}", value)
        return self.room.at(path)

    def _archive(self) -> tarfile.TarFile:
        return tarfile.open(self.at(self.command[-2]))

    def payload(self) -> Mapping[str, bytes]:
        """The files of the archive below its folder of that name."""
        with self._archive() as packed:
            members = {member.name.partition("/"): packed.extractfile(member) for member in packed if member.isfile()}
            return {path: file.read() for (top, _, path), file in members.items() if top == "payload" and file}

    def unpacked(self, name: str) -> str:
        """A file of the archive that the command is told of."""
        with self._archive() as packed:
            member = packed.extractfile(name)
            assert member
            return member.read().decode()


def _furnish(osmo: OsmoStandIn, order: Mapping[str, Any]) -> None:
    """Let it have what the plan names: the pool, the kind of machine with its folders, the credentials."""
    machine = config.platform(allowed_mounts=("/dev/shm",))
    osmo.pools[order["pool"]] = config.pool({order["gpu_platform"]: machine})
    for credential in order["credentials"]:
        osmo.credentials[credential["name"]] = {credential["key"]: "secret"}


def _submitted(osmo: OsmoStandIn, pool: str, file: Path, text: str) -> tuple[str, dict[str, Any]]:
    """The id of the workflow and its task, by the command itself, in this process.

    The archive is put in when that is done: to Jinja and to YAML its letters mean nothing, and they read each of them.
    """
    archive = max(re.findall(ARCHIVE, text), key=len, default="")
    file.write_text(text.replace(archive, PLACE) if archive else text)
    result = io.StringIO()
    with contextlib.redirect_stdout(result):
        code = main(osmo.folder, ["workflow", "submit", str(file), "-p", pool, "-t", "json"])
    assert code == 0, f"OSMO refuses it: {result.getvalue()}"
    name = str(json.loads(result.getvalue())["name"])
    task: dict[str, Any] = json.loads(json.dumps(osmo.workflows[name].task).replace(PLACE, json.dumps(archive)[1:-1]))
    return name, task
