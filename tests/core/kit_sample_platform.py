"""A correct platform whose engine is the folder `SAMPLE_ENGINE`; `kit_platform_faults.py` installs it from its text."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from robotrain.plugin import (
    ANY,
    YES,
    Capabilities,
    Output,
    Param,
    Placement,
    Plan,
    Platform,
    Problem,
    Rejected,
    RunGone,
    Stage,
    Status,
    hook,
    make_job_document,
    no,
)

ROLES = ("dataset", "policy", "init_policy", "checkpoint", "resume")
STATES = {"waits": "pending", "works": "running", "done": "succeeded", "broken": "failed", "stopped": "cancelled"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    zone: Annotated[str, Param(help="where it runs")] = "north"
    replicas: Annotated[int, Param(help="how many", gt=0)] = 1


def engine() -> Path:
    folder = Path(os.environ["SAMPLE_ENGINE"])
    if not folder.is_dir() or "NGC_API_KEY" in os.environ:  # as commands of an engine fail with a token that is none
        raise ConnectionError("the engine does not answer")
    return folder


class SamplePlatform(Platform):
    name = "sample"
    summary = "a sample"
    settings: type = Settings
    capabilities = Capabilities(
        sources={**{(role, ANY): YES for role in ROLES}, ("dataset", "blob_url"): no("It has no network.")},
        combinations={("kit_shelf", "huggingface"): no("They cannot be combined.")},
        workloads={ANY: YES},
        features={"several_datasets": YES, "stream_logs": YES, "cancel": YES, "multi_gpu": no("It has one GPU.")},
        limits={"sources": 12, "spec_kib": 200},
    )
    option_hints: Mapping[str, str] = {"--pool": "there is one pool"}

    def __init_subclass__(cls) -> None:
        cls.name = cls.__name__.lower()

    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        placement = Placement(work=f"/sample/{run}", cache="/sample/cache")
        body = make_job_document(
            self.job_of(job), run=run, platform=self.name, container_plugins=plugins, placement=placement
        )
        order = json.dumps({"zone": settings.zone, "replicas": settings.replicas, **self.more(settings)})
        files = {
            "order.json": order.encode(),
            "job.json": body.to_json().encode(),
            "payload.zip": payload.archive,
        }
        return Plan(platform=self.name, run=run, job=job, spec="order.json", files=files, shown=("order.json",))

    def job_of(self, job: Any) -> Any:
        return job

    def more(self, settings: Settings) -> dict[str, Any]:
        return {}

    def submit(self, plan: Plan) -> dict[str, str]:
        folder = engine() / plan.run
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state").write_text("waits")
        with (folder / "taken").open("a") as taken:
            taken.write(plan.digest + "\n")
        (folder / "sent").touch()
        return {"id": plan.run}

    def find(self, plan: Plan) -> dict[str, str] | None:
        taken = engine() / plan.run / "taken"
        return {"id": plan.run} if taken.exists() and plan.digest in taken.read_text().split() else None

    def folder(self, reference: Any) -> Path:
        folder = engine() / reference["id"]
        if not folder.is_dir():
            raise RunGone(f"the engine knows no {reference['id']}")
        return folder

    def status(self, reference: Any) -> Status:
        word = (self.folder(reference) / "state").read_text()
        if word not in STATES:
            return Status(state="running", reason=f"the engine says {word}")
        return Status(state=STATES[word])

    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        result = 0
        while True:
            ended = self.status(reference).finished or not follow
            lines = self.lines(reference)
            yield from lines[-tail:] if tail and not result else lines[result:]
            result = len(lines)
            if ended:
                return
            time.sleep(0.01)

    def lines(self, reference: Any) -> list[str]:
        log = self.folder(reference) / "log"
        return log.read_text().splitlines() if log.exists() else []

    def cancel(self, reference: Any) -> None:
        if not self.status(reference).finished:
            (self.folder(reference) / "state").write_text("stopped")

    def outputs(self, reference: Any) -> Iterator[Output]:
        for left in (self.folder(reference) / "left").glob("*"):
            name = f"checkpoints/{left.name}"
            yield Output(name=name, kind="checkpoint", source="local_path", uri=str(left), step=int(left.name))

    def download(self, reference: Any, output: Output, to: Path) -> None:
        if not Path(output.uri).is_dir():
            raise Rejected([Problem(code="gone", stage=Stage.SUBMIT, title=f"{output.name} is not there")])
        shutil.copytree(output.uri, to)


@hook
def robotrain_platforms() -> list[SamplePlatform]:
    return [SamplePlatform()]
