"""The fake platform with runs that end at once: the validation loss is least at a learning rate of 0.001 and seed 1.

Seed 4 fails. With a file `asleep` in the folder of the engine, runs do not end; with `unsaved` they save nothing. Read
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fake_plugin import FAKE, FakeEngine, engine
from robotrain.plugin import ANY, YES, Capabilities, Param, Plan, Problem, Registered, Stage, Status, hook
from robotrain_runtime.contract.event import Checkpoint, Outcome, format_event
from robotrain_runtime.plugin import Metrics


@dataclass(frozen=True, kw_only=True)
class Settings:
    depth: Annotated[int, Param(help="in kilometres", gt=0)] = 1


class InstantEngine(FakeEngine):
    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        if job["seed"] == 13 and job["batch_size"] == 2:
            yield Problem(code="unlucky", stage=Stage.CHECK, title="instant has no luck with 13 and 2")

    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        body = {"run": run, "seed": job["seed"], "rate": job["learning_rate"], "depth": settings.depth}
        files = {"job.json": json.dumps(body).encode()}
        return Plan(platform=self.platform.name, run=run, job=job, spec="job.json", files=files)

    def submit(self, plan: Plan) -> dict[str, str]:
        with (engine() / f"{plan.run}.sent").open("a") as file:
            file.write(plan.files["job.json"].decode() + "\n")
        return super().submit(plan)

    def _read_job(self, reference: Mapping[str, str]) -> dict[str, Any]:
        return json.loads((engine() / f"{reference['id']}.sent").read_text().splitlines()[0])

    def status(self, reference: Mapping[str, str]) -> Status:
        if super().status(reference).state == "cancelled":
            return Status(state="cancelled")
        if (engine() / "asleep").exists():
            return Status(state="running", started=1.0)
        if self._read_job(reference)["seed"] == 4:
            return Status(state="failed", reason="a wave came", exit_code=1)
        return Status(state="succeeded", started=1.0, ended=2.0)

    def logs(self, reference: Mapping[str, str], follow: bool, tail: int | None = None) -> Iterator[str]:
        job = self._read_job(reference)
        loss = abs(math.log10(job["rate"]) + 3) + job["seed"] / 100
        yield format_event(Metrics(step=1, total=1, values={"val/loss": loss, "train/loss": loss / 2}), 0.0)
        if not (engine() / "unsaved").exists():
            yield format_event(Checkpoint(step=1, path="/instant/checkpoints/000001"), 0.0)
        if self.status(reference).state == "succeeded":
            yield format_event(Outcome(state="succeeded", exit_code=0), 0.0)

    def register(self, reference: Mapping[str, str], name: str, step: int | None) -> Registered:
        return Registered(name=name, version="1", step=step or 1, uri=reference["id"])


INSTANT = replace(
    FAKE,
    name="instant",
    summary="runs end at once",
    engine_class=InstantEngine,
    settings=Settings,
    capabilities=Capabilities(
        sources={(role, ANY): YES for role in ("dataset", "init_policy")},
        workloads={ANY: YES},
        features={"register_model": YES},
    ),
)


@hook
def robotrain_platforms() -> list[Any]:
    return [INSTANT]
