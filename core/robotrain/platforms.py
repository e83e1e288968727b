"""Platforms: where a job runs. What a plugin implements to add one."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from robotrain.capabilities import Capabilities
    from robotrain.job import Job
    from robotrain.payload import Payload
    from robotrain.plan import Plan
    from robotrain.problem import Problem
    from robotrain.run import Reference, Status


class Platform(Protocol):
    """One place to run. The first four methods are pure or only look; `submit` is the one that acts.

    name: its name on the command line. summary: a line for help. settings: a frozen dataclass of
    `Annotated[type, Param(…)]`. declined: options of other platforms that people try here, each with what to say.
    """

    name: str
    summary: str
    settings: type
    capabilities: Capabilities
    declined: Mapping[str, str]

    def check(self, job: Job, settings: Any) -> Iterable[Problem]:
        """Its own rules on a resolved job; pure."""

    def render(self, job: Job, settings: Any, run: str, payload: Payload, halves: Mapping[str, str]) -> Plan:
        """Exactly what will be sent; pure. halves: the container modules, by what they stand for."""

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """A cheap look at the world: what would make this plan fail. Changes nothing."""

    def submit(self, plan: Plan) -> Reference:
        """Hand the plan to the engine; what it returns finds the run again. Raises Rejected when the engine refuses."""

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises robotrain.run.RunGone when the engine does not know it."""

    def logs(self, reference: Reference, follow: bool) -> Iterator[str]:
        """The log line by line, event lines included, without line ends. follow: to the run's end."""

    def cancel(self, reference: Reference) -> None:
        """Stop the run; a run that ended is left as it is."""
