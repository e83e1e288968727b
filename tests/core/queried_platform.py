"""A platform that tells some of its settings itself, when it is asked. Read as text, like fake_platform.py.

In the folder that `FAKE_ENGINE` names: `tells` is what it answers as JSON, `silent` why it does not, `asked` counts the
asking; `brings` are the lines of prepare, and `made` is the spec of a run as the engine holds it. `breaks` in one of
the last three is an error of the platform.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fake_plugin import FAKE, FakeEngine, engine, read_word
from fake_plugin import Settings as FakeSettings
from robotrain.plugin import (
    Param,
    Placement,
    Plan,
    Platform,
    PlatformDefault,
    Problem,
    Rejected,
    Stage,
    Uploads,
    hook,
    make_job_document,
)


@dataclass(frozen=True, kw_only=True)
class Settings(FakeSettings):
    base: Annotated[str, Param(help="needed")]
    host: Annotated[str | None, Param(help="told by the platform")] = None
    ground: Annotated[Literal["gas", "ice"] | None, Param(help="told by the platform")] = None
    tier: Annotated[str, Param(help="never told")] = "low"


class QueriedEngine(FakeEngine, Uploads):
    def query_settings(self, job: Any, settings: Settings) -> Mapping[str, PlatformDefault]:
        with (engine() / "asked").open("a") as calls:
            calls.write("once\n")
        if read_word("silent") == "breaks":
            raise ConnectionError("no answer from https://queried/?sig=c2VjcmV0")
        if read_word("silent"):
            problem = Problem(code="asleep", stage=Stage.PREFLIGHT, title=read_word("silent"), severity="warning")
            raise Rejected([problem])
        content = json.loads(read_word("tells") or "{}")
        return {name: PlatformDefault(value, "seen from here") for name, value in content.items()}

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        if settings.slots == 11:
            yield Problem(code="odd", stage=Stage.CHECK, title="an odd slots", severity="warning")
        if settings.ground == "gas" and settings.slots < 10:
            yield Problem(code="sinks", stage=Stage.CHECK, title="it would sink", where="--slots")

    def render(
        self, job: Any, settings: Settings, run: str, payload: Any, container_plugins: Mapping[str, str]
    ) -> Plan:
        placement = Placement(work=f"/{settings.base}/{settings.host}/{settings.ground}", cache=f"/{settings.tier}")
        body = make_job_document(
            job, run=run, platform=self.platform.name, container_plugins=container_plugins, placement=placement
        )
        files = {"job.json": body.to_json().encode(), "payload.zip": payload.archive}
        return Plan(platform=self.platform.name, run=run, job=job, spec="job.json", files=files, shown=("job.json",))

    def preflight(self, plan: Plan) -> Iterator[Problem]:
        if read_word("silent") == "it sleeps" and read_word("weather"):
            yield Problem(code="asleep", stage=Stage.PREFLIGHT, title="it sleeps")
        yield from () if read_word("silent") else super().preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        for line in read_word("brings").splitlines():
            if line == "breaks":
                raise ConnectionError("no answer from https://queried/?sig=c2VjcmV0")
            yield line


QUERIED = replace(
    FAKE,
    name="queried",
    engine_class=QueriedEngine,
    settings=Settings,
)


@hook
def robotrain_platforms() -> list[Platform]:
    return [QUERIED]
