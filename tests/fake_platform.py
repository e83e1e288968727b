"""A platform whose engine is a folder: what it was handed can be counted. Read as text by the tests.

`FAKE_ENGINE` names the folder; a file `mood` in it says how the next submit goes: `refuses`, `takes it and hangs up`,
`hangs up`, `interrupted`; preflight reads `weather`, `memory` says what find does, and `status` what status does. A run
is what `RUN.json` says, or else `others.json`. `checkpoints` in its folder `left`: those that can be downloaded.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from robotrain.plugin import (
    ANY,
    YES,
    Capabilities,
    NotSubmitted,
    Output,
    Param,
    PipelinePlans,
    Placement,
    Plan,
    Platform,
    PlatformEngine,
    PlatformPlans,
    Problem,
    Registered,
    Rejected,
    RunGone,
    Stage,
    Status,
    Suggestion,
    Unanswered,
    hook,
    make_job_document,
)

KINDS = ("huggingface", "blob_url", "data_asset", "local_path", "registered_model")
ROLES = ("dataset", "policy", "reference", "init_policy", "resume", "backbone", "scenes")


@dataclass(frozen=True, kw_only=True)
class Settings:
    slots: Annotated[int, Param(help="how many slots", gt=0)] = 50


def engine() -> Path:
    return Path(os.environ["FAKE_ENGINE"])


def read_word(name: str) -> str:
    path = engine() / name
    return path.read_text().strip() if path.exists() else ""


class FakeEngine(PlatformPlans, PlatformEngine, PipelinePlans):
    def render(
        self, job: Any, settings: Settings, run: str, payload: Any, container_plugins: Mapping[str, str]
    ) -> Plan:
        placement = Placement(work=f"/fake/{settings.slots}", cache="/fake/cache")
        body = make_job_document(
            job, run=run, platform=self.platform.name, container_plugins=container_plugins, placement=placement
        )
        files = {"job.json": body.to_json().encode(), "payload.zip": payload.archive}
        return Plan(platform=self.platform.name, run=run, job=job, spec="job.json", files=files, shown=("job.json",))

    def preflight(self, plan: Plan) -> Iterator[Problem]:
        if read_word("weather") == "no answer":
            raise TimeoutError("no answer from https://fake/?sig=c2VjcmV0")
        if read_word("unseen"):
            words = {"title": "it cannot be seen from here", "given": read_word("unseen"), "severity": "warning"}
            yield Problem(code="source-unreachable", stage=Stage.PREFLIGHT, **words)
        if read_word("unread"):
            words = {"title": "it cannot be read where the job runs", "given": read_word("unread")}
            yield Problem(code="source-unreachable", stage=Stage.PREFLIGHT, **words)
        if read_word("weather"):
            yield Problem(code="weather", stage=Stage.PREFLIGHT, title=read_word("weather"))

    def submit(self, plan: Plan) -> Any:
        mood = read_word("mood")
        if mood == "refuses":
            raise Rejected([Problem(code="refused", stage=Stage.SUBMIT, title="fake is not at home")])
        if mood == "interrupted in time":
            raise NotSubmitted
        if mood == "does not say":
            way = Suggestion("fake login", "")
            dark = Problem(
                code="dark", stage=Stage.SUBMIT, title="fake is dark", why="It is night.", suggestions=(way,)
            )
            raise Unanswered([dark])
        if mood == "hangs up":
            raise ConnectionResetError("the line went dead")
        jobs = engine() / "jobs"
        jobs.mkdir(exist_ok=True)
        with (jobs / plan.run).open("a") as taken:
            taken.write(plan.digest + "\n")
        if mood == "takes it and exits":
            raise SystemExit(0)
        if mood == "takes it and is cancelled":
            raise asyncio.CancelledError
        if mood == "takes it and answers with a text":
            return plan.run
        if mood == "takes it and hangs up":
            raise ConnectionResetError("the line went dead")
        if mood == "interrupted":
            raise KeyboardInterrupt
        return {"id": plan.run}

    def find(self, plan: Plan) -> Any:
        if read_word("memory") == "refuses":
            raise Rejected([Problem(code="asleep", stage=Stage.SUBMIT, title="fake sleeps")])
        if read_word("memory") == "fades":
            raise Unanswered([Problem(code="dim", stage=Stage.SUBMIT, title="fake is dim", why="It dawns.")])
        if read_word("memory") == "interrupted":
            raise KeyboardInterrupt
        if read_word("memory") == "exits":
            raise SystemExit(0)
        if read_word("memory") == "answers with an empty text":
            return ""
        if read_word("memory"):
            raise ConnectionResetError("no answer from https://fake/?sig=c2VjcmV0")
        path = engine() / "jobs" / plan.run
        return {"id": plan.run} if path.exists() and plan.digest in path.read_text().split() else None

    def _state(self, reference: Any) -> dict[str, Any]:
        if not (engine() / "jobs" / reference["id"]).exists():
            raise RunGone(f"fake knows no {reference['id']}")
        return json.loads(read_word(f"{reference['id']}.json") or read_word("others.json") or "{}")

    def status(self, reference: Any) -> Status:
        if read_word("status") == "exits":
            raise SystemExit(0)
        state = self._state(reference)
        return Status(state=state.get("state", "running"), started=state.get("started"), ended=state.get("ended"))

    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        return iter(self._state(reference).get("log", []))

    def cancel(self, reference: Any) -> None:
        (engine() / f"{reference['id']}.json").write_text(json.dumps({"state": "cancelled"}))

    def outputs(self, reference: Any) -> Iterator[Output]:
        for step in self._state(reference).get("checkpoints", []):
            path = f"{self._state(reference).get('at', '/fake/' + reference['id'])}/checkpoints/{step:06}"
            yield Output(name=f"checkpoints/{step:06}", kind="checkpoint", source="local_path", uri=path, step=step)
        for name, path in self._state(reference).get("files", {}).items():
            yield Output(name=name, kind="file", source="local_path", uri=path)

    def download(self, reference: Any, output: Output, to: Path) -> None:
        source = engine() / "left" / output.name
        shutil.copytree(source, to) if source.is_dir() else to.write_text(output.uri)

    def register(self, reference: Any, name: str, step: int | None) -> Registered:
        return Registered(name=name, version="1", step=step or 0, uri=f"models:/{name}/1")


FAKE = Platform(
    name="fake",
    summary="a folder that takes jobs",
    engine_class=FakeEngine,
    settings=Settings,
    capabilities=Capabilities(
        sources={**{(role, kind): YES for role in ROLES for kind in KINDS}, ("backbone", "torchvision"): YES},
        workloads={ANY: YES},
        features={"several_datasets": YES, "register_model": YES, "publish_folder": YES},
    ),
    cancel_command="fake stop {id}",
)


@hook
def robotrain_platforms() -> list[Platform]:
    return [FAKE]
