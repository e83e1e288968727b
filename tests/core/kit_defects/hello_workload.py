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
class MutableParameters:
    times: Annotated[int, Param(help="")] = 3
    secret_key: Annotated[str, Param(help="")] = ""


@dataclass(frozen=True, kw_only=True)
class WrongDefault:
    times: Annotated[int, Param(help="how often", gt=0)] = "three"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class FlagOfRobotrain:
    batch: Annotated[int, Param(help="how many", flag="--platform")] = 1


class UnenforcedParam(Param):
    """A parameter that declares bounds and enforces none."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source)


@dataclass(frozen=True, kw_only=True)
class UnenforcedBounds:
    times: Annotated[int, UnenforcedParam(help="how often", gt=0)] = 3


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


def check_sources_that_are_missing(job: Any) -> Iterator[Problem]:
    if job.sources[0].uri == "/taken":
        yield Problem(code="hello-taken", stage=Stage.CHECK, title="somebody else has it")


def reject_remote_sources(job: Any) -> Iterator[Problem]:
    if any(source.kind != "local_path" for source in job.sources):
        yield Problem(code="hello-far", stage=Stage.CHECK, title="that is too far away", where="--whom")


good_hello = Plugin(GOOD)
mutable_parameters = wrong("mutable_parameters", parameters=MutableParameters)
wrong_default = wrong("wrong_default", parameters=WrongDefault)
flag_of_robotrain = wrong("flag_of_robotrain", parameters=FlagOfRobotrain)
unenforced_bounds = wrong("unenforced_bounds", parameters=UnenforcedBounds)
idle_parameters = wrong("idle_parameters", container_plugin="hello_container.idle")
heavy_container = wrong("heavy_container", container_plugin="hello_container.heavy")
incomplete_container = wrong("incomplete_container", container_plugin="hello_container.silent")
unlocked_environment = wrong("unlocked_environment", container_plugin="hello_container.unlocked")
unannounced_sources = wrong("unannounced_sources", container_plugin="hello_container.implying")
lost_check_command = wrong("lost_check_command", container_plugin="hello_container.lost_check")
unknown_role = wrong("unknown_role", roles={"camera": Role()})
greedy_check = wrong("greedy_check", check=check_sources_that_are_missing)
local_only = wrong("local_only", check=reject_remote_sources)
missing_container = wrong("missing_container", container_plugin="hello_container.nowhere")
produces_nothing = wrong("produces_nothing", produces="results")
missing_reader = wrong("missing_reader", config_reader="hello_container.whole")
misnamed = Plugin(GOOD)
