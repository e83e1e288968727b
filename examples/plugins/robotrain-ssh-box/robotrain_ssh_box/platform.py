"""The platform `ssh-box`: runs are on another machine, which `engine.py` asks about everything.

`--help` and the TAB key import this module too: import what is expensive in the functions that need it.
"""

import io
import json
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from robotrain.plugin import (
    ANY,
    YES,
    Capabilities,
    Check,
    ClusterEngine,
    Job,
    Output,
    Param,
    Payload,
    Placement,
    Plan,
    Platform,
    PlatformPlans,
    Problem,
    Reference,
    Rejected,
    RunGone,
    Stage,
    Status,
    Suggestion,
    Unanswered,
    hook,
    make_job_document,
    no,
)
from robotrain_runtime.plugin import CheckpointManifest

from robotrain_ssh_box import engine

ROLES = ("dataset", "policy", "reference", "init_policy", "checkpoint", "resume", "backbone")
NO_DISK = no("ssh-box does not see the disk of this machine.", "--dataset-repo-id OWNER/NAME")
NO_CODE = no("ssh-box does not see the disk of this machine, and takes no upload.")
NO_FOLDER = no("A folder of ssh-box is not seen from here.", "robotrain outputs RUN --to FOLDER")
NO_REGISTRY = no("ssh-box has no registry of models.", "robotrain outputs RUN --to FOLDER")
CAPABILITIES = Capabilities(
    # ANY: whatever the job fetches by itself, and every workload. Rejections and help follow from what stands here:
    # say yes to what you have tried, `no(reason, instead)` to what cannot be, and nothing of the rest.
    sources={
        **{(role, ANY): YES for role in ROLES},
        **{(role, "local_path"): NO_DISK for role in ROLES},
        ("code", "local_path"): NO_CODE,
    },
    workloads={ANY: YES},
    features={
        "several_datasets": YES,
        "multi_gpu": YES,
        "mixed_precision": YES,
        "wandb": YES,
        "stream_logs": YES,
        "cancel": YES,
        "publish_folder": NO_FOLDER,
        "register_model": NO_REGISTRY,
    },
)
SPEC, DOCUMENT, PAYLOAD = "ssh-box.json", "job.json", "payload.zip"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What users set, with flags, environment variables or in a job file."""

    host: Annotated[str, Param(help="the machine, as ssh names it", common=True)] = "ssh-box"
    folder: Annotated[str, Param(help="a folder of the machine for runs", pattern="/.*")] = "/srv/robotrain"
    interpreter: Annotated[str, Param(help="a Python of the machine, 3.10 or newer")] = "python3"


class SshBox(PlatformPlans, ClusterEngine):
    """What makes the plans of the platform, and acts for it."""

    engine_name = "ssh-box"

    def render(
        self, job: Job, settings: Settings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """Return exactly what is sent, by these arguments alone: the same job gives the same bytes."""
        placement = Placement(work=f"{settings.folder}/{run}", cache=f"{settings.folder}/.cache")
        document = make_job_document(
            job, run=run, platform=self.platform.name, container_plugins=container_plugins, placement=placement
        )
        files = {
            SPEC: json.dumps([settings.host, settings.folder, settings.interpreter]).encode(),
            DOCUMENT: document.to_json().encode(),
            PAYLOAD: payload.archive,
        }
        return Plan(platform=self.platform.name, run=run, job=job, spec=SPEC, files=files, shown=(SPEC, DOCUMENT))

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        """Return the checks of a plan, or of any for `robotrain doctor`: look at the world, and change nothing."""
        if plan is None:
            return []
        return [Check(name="ssh-box", run=partial(check_machine, *read_spec(plan)))]

    def submit(self, plan: Plan) -> Reference:
        """Send the plan, and return what finds the run again. Raise Rejected only if nothing of the run exists."""
        host, folder, python = read_spec(plan)
        try:
            code = engine.start(host, folder, plan.run, python, plan.digest, plan.files)
        except Rejected as silence:  # the run may exist all the same: `find` will tell
            raise Unanswered(silence.problems) from None
        if code == engine.TAKEN:
            problem = Problem(
                code="ssh-box-taken",
                stage=Stage.SUBMIT,
                title=f"{host}:{folder}/{plan.run} is another run",
                suggestions=(Suggestion("--folder FOLDER", "another folder for runs"),),
            )
            raise Rejected([problem])
        if code:
            title = f"{host} could not start the run: exit code {code}"
            raise Unanswered([Problem(code="ssh-box-refused", stage=Stage.SUBMIT, title=title)])
        return {"host": host, "folder": f"{folder}/{plan.run}"}

    def find(self, plan: Plan) -> Reference | None:
        """Return the run of this very plan if an interrupted `submit` started it: then it is not sent again."""
        host, runs, _ = read_spec(plan)
        folder = f"{runs}/{plan.run}"
        return {"host": host, "folder": folder} if engine.find_digest(host, folder) == plan.digest else None

    def status(self, reference: Reference) -> Status:
        """Return the status of a run. Raise RunGone if the engine does not know it."""
        word = engine.find_state(reference["host"], reference["folder"])
        if word == "gone":
            raise RunGone(f"{reference['host']} has no {reference['folder']}")
        if word.isdigit():
            return Status(state=engine.STATES.get(word, "failed"), exit_code=int(word))
        reason = "" if word == "running" else f"{self.engine_name} says {word}"
        return Status(state=engine.STATES.get(word, "running"), reason=reason)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of the log. It asks anew each time: a connection that breaks loses nothing."""
        seen, rest = 0, b""
        while True:
            has_ended = not follow or self.has_ended(reference)  # first: what it wrote until then is read below
            text = engine.read_log(reference["host"], reference["folder"], seen)
            *lines, rest = (rest + text).split(b"\n")
            lines += [rest] if has_ended and rest else []
            first = max(len(lines) - tail, 0) if tail is not None and not seen else 0
            yield from (line.decode(errors="replace").rstrip("\r") for line in lines[first:])
            if has_ended:
                return
            seen += len(text)
            time.sleep(1)

    def request_cancel(self, reference: Reference) -> str:
        """Ask the engine to stop a run, and return why it refused; `cancel` waits for the end."""
        engine.cancel(reference["host"], reference["folder"])
        return ""

    def outputs(self, reference: Reference) -> Iterator[Output]:
        """Yield the complete checkpoints."""
        host, folder = reference["host"], reference["folder"]
        for path in engine.list_checkpoints(host, folder, CheckpointManifest.FILE_NAME):
            name, step = path.removeprefix(f"{folder}/outputs/"), int(path.rpartition("/")[2])
            yield Output(name=name, kind="checkpoint", source="", uri=f"{host}:{path}", step=step)

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy a checkpoint; it is complete under its name, or not there."""
        archive = engine.download(reference["host"], output.uri.partition(":")[2])
        if archive is None:
            title = f"{output.name} does not exist any more"
            raise Rejected([Problem(code="ssh-box-output", stage=Stage.SUBMIT, title=title)])
        part = to.with_name(f".{to.name}.part")
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(part, filter="data")
        part.rename(to)


def read_spec(plan: Plan) -> tuple[str, str, str]:
    """Return the host, the folder of its runs and its Python."""
    host, folder, python = json.loads(plan.files[SPEC])
    return host, folder, python


def check_machine(host: str, folder: str, python: str) -> list[Problem]:
    """Return what would make a run fail there."""
    if engine.is_ready(host, folder, python):
        return []
    title = f"{python} of {host} is older than 3.10, or {folder} cannot be written"
    return [Problem(code="ssh-box-unfit", stage=Stage.PREFLIGHT, title=title)]


@hook
def robotrain_platforms() -> list[Platform]:
    """Return the platform: robotrain calls this when the name `ssh-box` is used."""
    summary = "a machine that is reached by ssh"
    return [
        Platform(name="ssh-box", summary=summary, engine_class=SshBox, settings=Settings, capabilities=CAPABILITIES)
    ]
