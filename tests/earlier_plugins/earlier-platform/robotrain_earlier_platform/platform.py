"""The platform `earlier-platform`: runs are folders, whose jobs `engine.py` starts.

`--help` and the TAB key import this module too: import what is expensive in the functions that need it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from robotrain.plugin import (
    ANY,
    YES,
    Capabilities,
    Job,
    Param,
    Payload,
    Placement,
    Plan,
    Platform,
    Problem,
    Rejected,
    RunFolderPlatform,
    Stage,
    Suggestion,
    hook,
    make_job_document,
    no,
)

from robotrain_earlier_platform import engine

ROLES = ("dataset", "policy", "init_policy", "resume", "backbone", "publish")
FEATURES = (
    "several_datasets",
    "multi_gpu",
    "mixed_precision",
    "publish_folder",
    "wandb",
    "stream_logs",
    "cancel",
)
NO_REGISTRY = no("earlier-platform has no registry of models.", "robotrain outputs RUN --to FOLDER")
CAPABILITIES = Capabilities(
    # ANY: whatever the job fetches by itself, and every workload. Rejections and help follow from what stands here:
    # say yes to what you have tried, `no(reason, instead)` to what cannot be, and nothing of the rest.
    sources={(role, ANY): YES for role in ROLES},
    workloads={ANY: YES},
    features={**dict.fromkeys(FEATURES, YES), "register_model": NO_REGISTRY},
)
SPEC, DOCUMENT, PAYLOAD = "earlier-platform.json", "job.json", "payload.zip"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What users set, with flags, environment variables or in a job file."""

    folder: Annotated[str, Param(help="folder of the runs", path=True)] = "~/earlier-platform-runs"


class EarlierPlatform(RunFolderPlatform):
    """Everything between a job and the engine."""

    name = "earlier-platform"
    summary = "processes of this machine"
    settings = Settings
    capabilities = CAPABILITIES
    states = engine.STATES

    def check(self, job: Job, settings: Settings) -> Iterator[Problem]:
        """Yield what this platform forbids, by the job and the settings alone: nothing is asked, nothing is read."""
        if "\n" in settings.folder:
            title = "--folder has a line end in its name"
            yield Problem(code="earlier-platform-folder", stage=Stage.CHECK, title=title)

    def render(
        self, job: Job, settings: Settings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """Return exactly what is sent, by these arguments alone: the same job gives the same bytes."""
        runs = Path(settings.folder).expanduser().absolute()
        placement = Placement(work=str(runs / run), cache=str(runs / ".cache"))
        document = make_job_document(
            job, run=run, platform=self.name, container_plugins=container_plugins, placement=placement
        )
        files = {
            SPEC: json.dumps({"folder": str(runs / run)}).encode(),
            DOCUMENT: document.to_json().encode(),
            PAYLOAD: payload.archive,
        }
        return Plan(platform=self.name, run=run, job=job, spec=SPEC, files=files, shown=(SPEC, DOCUMENT))

    def preflight(self, plan: Plan) -> Iterator[Problem]:
        """Yield what would make the run fail: look at the world, quickly, and change nothing."""
        if not Path("/proc/self/cmdline").exists():
            title = "the processes of this machine cannot be told apart: it has no /proc"
            yield Problem(code="earlier-platform-machine", stage=Stage.PREFLIGHT, title=title)
        yield from self.find_folder_problems(plan, get_folder(plan))

    def submit(self, plan: Plan) -> Mapping[str, str]:
        """Send the plan, and return what finds the run again. Raise Rejected only if nothing of the run exists."""
        folder = get_folder(plan)
        try:
            self.create_folder(plan, folder)  # all of it or nothing, under the run's own name
        except FileExistsError:
            problem = Problem(
                code="earlier-platform-taken",
                stage=Stage.SUBMIT,
                title=f"{folder} holds another run",
                suggestions=(Suggestion("--folder FOLDER", "another folder for runs"),),
            )
            raise Rejected([problem]) from None
        job = engine.start(folder)
        (folder / "submitted").write_text(job)
        return {"folder": str(folder), "job": job}

    def find(self, plan: Plan) -> Mapping[str, str] | None:
        """Return the run of this very plan if an interrupted `submit` started it: then it is not sent again."""
        folder = get_folder(plan)
        if not self.has_plan(plan, folder) or not (folder / "submitted").exists():
            return None
        return {"folder": str(folder), "job": (folder / "submitted").read_text()}

    def get_engine_state(self, job: str) -> str:
        """Return the engine's word for a job; `states` says what it means."""
        return engine.find_state(job)

    def stop_job(self, job: str) -> None:
        """Stop a job."""
        engine.stop(job)


def get_folder(plan: Plan) -> Path:
    """Return the folder of a plan's run."""
    return Path(json.loads(plan.files[SPEC])["folder"])


@hook
def robotrain_platforms() -> list[Platform]:
    """Return the platform: robotrain calls this when the name `earlier-platform` is used."""
    return [EarlierPlatform()]
