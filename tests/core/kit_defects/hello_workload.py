"""A workload that is right, and many that are each wrong in one way: what WorkloadKit is tried on.

`workload.NAME = hello_workload:NAME` claims each by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from robotrain.plugin import Param, Problem, Role, Stage, Workload, hook


@dataclass(frozen=True, kw_only=True)
class Hello:
    times: Annotated[int, Param(help="how often", gt=0, le=9)] = 3
    loud: Annotated[bool, Param(help="in capitals")] = False
    tongue: Annotated[Literal["en", "fr"], Param(help="the language")] = "en"
    whom: Annotated[str, Param(help="who is greeted", pattern="^[a-z]+$")] = "world"


@dataclass(kw_only=True)
class Loose:
    times: Annotated[int, Param(help="")] = 3
    secret_key: Annotated[str, Param(help="")] = ""


@dataclass(frozen=True, kw_only=True)
class Mistaken:
    times: Annotated[int, Param(help="how often", gt=0)] = "three"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Taking:
    batch: Annotated[int, Param(help="how many", flag="--platform")] = 1


class Anything(Param):
    """Tells of bounds, and enforces none."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source)


@dataclass(frozen=True, kw_only=True)
class Boundless:
    times: Annotated[int, Anything(help="how often", gt=0)] = 3


GOOD = Workload(
    name="good_hello",
    summary="says hello",
    parameters=Hello,
    roles={"dataset": Role(required=True)},
    container_plugin="hello_container.whole",
    produces="files",
)


class Plugin:
    """Brings one workload, as a module would."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    @hook
    def robotrain_workloads(self) -> Iterator[Workload]:
        yield self.workload


def wrong(name: str, **changes: Any) -> Plugin:
    return Plugin(replace(GOOD, name=name, **changes))


def greedy(job: Any) -> Iterator[Problem]:
    if job.sources[0].uri == "/taken":
        yield Problem(code="hello-taken", stage=Stage.CHECK, title="somebody else has it")


def choosing(job: Any) -> Iterator[Problem]:
    if any(source.kind != "local_path" for source in job.sources):
        yield Problem(code="hello-far", stage=Stage.CHECK, title="that is too far away", where="--whom")


good_hello = Plugin(GOOD)
loose = wrong("loose", parameters=Loose)
mistaken = wrong("mistaken", parameters=Mistaken)
taking = wrong("taking", parameters=Taking)
boundless = wrong("boundless", parameters=Boundless)
idle = wrong("idle", container_plugin="hello_container.idle")
heavy = wrong("heavy", container_plugin="hello_container.heavy")
silent = wrong("silent", container_plugin="hello_container.silent")
unlocked = wrong("unlocked", container_plugin="hello_container.unlocked")
seeing = wrong("seeing", roles={"camera": Role()})
greedy_one = wrong("greedy_one", check=greedy)
picky = wrong("picky", check=choosing)
absent = wrong("absent", container_plugin="hello_container.nowhere")
boasting = wrong("boasting", produces="results")
unread = wrong("unread", config_reader="hello_container.whole")
misnamed = Plugin(GOOD)
