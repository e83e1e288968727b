"""A platform whose runs end at once, with a validation loss that is least at a learning rate of 0.001 and seed 1.

Seed 4 fails; with a file `asleep` in the folder `INSTANT_ENGINE`, runs do not end. Read as text by the tests.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from robotrain.plugin import (
    ANY,
    YES,
    Capabilities,
    Param,
    Plan,
    Platform,
    Problem,
    Registered,
    RunGone,
    Stage,
    Status,
    hook,
)
from robotrain_runtime.contract.event import format_event
from robotrain_runtime.plugin import Metrics


@dataclass(frozen=True, kw_only=True)
class Settings:
    depth: Annotated[int, Param(help="in kilometres", gt=0)] = 1


class InstantPlatform(Platform):
    name, summary, settings = "instant", "runs end at once", Settings
    capabilities = Capabilities(
        sources={(role, ANY): YES for role in ("dataset", "init_policy")},
        workloads={ANY: YES},
        features={"register_model": YES},
    )

    @property
    def _folder(self) -> Path:
        return Path(os.environ["INSTANT_ENGINE"])

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        if job["seed"] == 13 and job["batch_size"] == 2:
            yield Problem(code="unlucky", stage=Stage.CHECK, title="instant has no luck with 13 and 2")

    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        body = {"run": run, "seed": job["seed"], "rate": job["learning_rate"], "depth": settings.depth}
        return Plan(
            platform=self.name, run=run, job=job, spec="job.json", files={"job.json": json.dumps(body).encode()}
        )

    def submit(self, plan: Plan) -> dict[str, str]:
        with (self._folder / plan.run).open("a") as file:
            file.write(plan.files["job.json"].decode() + "\n")
        return {"id": plan.run}

    def find(self, plan: Plan) -> dict[str, str] | None:
        return {"id": plan.run} if (self._folder / plan.run).exists() else None

    def _read(self, reference: Mapping[str, str]) -> dict[str, Any]:
        path = self._folder / reference["id"]
        if not path.exists():
            raise RunGone("instant does not know it")
        return json.loads(path.read_text().splitlines()[0])

    def status(self, reference: Mapping[str, str]) -> Status:
        job = self._read(reference)
        if (self._folder / f"{job['run']}.cancelled").exists():
            return Status(state="cancelled")
        if (self._folder / "asleep").exists():
            return Status(state="running", started=1.0)
        if job["seed"] == 4:
            return Status(state="failed", reason="a wave came", exit_code=1)
        return Status(state="succeeded", started=1.0, ended=2.0)

    def logs(self, reference: Mapping[str, str], follow: bool, tail: int | None = None) -> Iterator[str]:
        job = self._read(reference)
        loss = abs(math.log10(job["rate"]) + 3) + job["seed"] / 100
        yield format_event(Metrics(step=1, total=1, values={"val/loss": loss, "train/loss": loss / 2}), 0.0)

    def cancel(self, reference: Mapping[str, str]) -> None:
        (self._folder / f"{reference['id']}.cancelled").touch()

    def outputs(self, reference: Mapping[str, str]) -> tuple[Any, ...]:
        return ()

    def register(self, reference: Mapping[str, str], name: str, step: int | None) -> Registered:
        return Registered(name=name, version="1", step=step or 1, uri=reference["id"])


@hook
def robotrain_platforms() -> list[Platform]:
    return [InstantPlatform()]
