"""A platform that tells some of its settings itself, when it is asked. Read as text, like venus.py.

In the folder that `VENUS` names: `tells` is what it answers as JSON, `silent` why it does not, `asked` counts the
asking; `brings` are the lines of prepare, and `made` is the spec of a run as the engine holds it. `breaks` in one of
the last three is an error of the platform.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from robotrain.plugin import Param, Placement, Plan, PlatformDefault, Problem, Rejected, Stage, hook, make_job_document
from venus_plugin import Settings as Altitude
from venus_plugin import Venus, engine, said


@dataclass(frozen=True, kw_only=True)
class Settings(Altitude):
    base: Annotated[str, Param(help="needed")]
    moon: Annotated[str | None, Param(help="told by uranus")] = None
    ground: Annotated[Literal["gas", "ice"] | None, Param(help="told by uranus")] = None
    orbit: Annotated[str, Param(help="never told")] = "low"


class Uranus(Venus):
    name = "uranus"
    settings = Settings
    can_prepare = True

    def query_settings(self, job: Any, settings: Settings) -> Mapping[str, PlatformDefault]:
        with (engine() / "asked").open("a") as asked:
            asked.write("once\n")
        if said("silent") == "breaks":
            raise ConnectionError("no answer from https://uranus/?sig=c2VjcmV0")
        if said("silent"):
            problem = Problem(code="asleep", stage=Stage.PREFLIGHT, title=said("silent"), severity="warning")
            raise Rejected([problem])
        told = json.loads(said("tells") or "{}")
        return {name: PlatformDefault(value, "seen from here") for name, value in told.items()}

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        if settings.altitude == 11:
            yield Problem(code="odd", stage=Stage.CHECK, title="an odd altitude", severity="warning")
        if settings.ground == "gas" and settings.altitude < 10:
            yield Problem(code="sinks", stage=Stage.CHECK, title="it would sink", where="--altitude")

    def render(self, job: Any, settings: Settings, run: str, payload: Any, halves: Mapping[str, str]) -> Plan:
        placement = Placement(work=f"/{settings.base}/{settings.moon}/{settings.ground}", cache=f"/{settings.orbit}")
        body = make_job_document(job, run=run, platform=self.name, container_plugins=halves, placement=placement)
        files = {"job.json": body.to_json().encode(), "payload.zip": payload.archive}
        return Plan(platform=self.name, run=run, job=job, spec="job.json", files=files, shown=("job.json",))

    def preflight(self, plan: Plan) -> Iterator[Problem]:
        if said("silent") == "it sleeps" and said("weather"):
            yield Problem(code="asleep", stage=Stage.PREFLIGHT, title="it sleeps")
        yield from () if said("silent") else super().preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        for line in said("brings").splitlines():
            if line == "breaks":
                raise ConnectionError("no answer from https://uranus/?sig=c2VjcmV0")
            yield line

    def read_submitted_spec(self, plan: Plan, reference: Any) -> bytes:
        if said("made") == "breaks":
            raise ConnectionError("no answer from https://uranus/?sig=c2VjcmV0")
        return f"{said('made')} {reference['id']}\n".encode()


@hook
def robotrain_platforms() -> list[Uranus]:
    return [Uranus()]
