"""Platforms: where a job runs. What a plugin implements to add one."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from robotrain_runtime.event import Registered

    from robotrain.capabilities import Capabilities
    from robotrain.job import Job
    from robotrain.payload import Payload
    from robotrain.plan import Plan
    from robotrain.problem import Problem
    from robotrain.run import Output, Reference, Status


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
        """Hand the plan to the engine; what it returns finds the run again.

        Raises Rejected only when the engine refused and nothing of the run is there; anything else that it raises means
        that nobody knows, and `find` is asked before the plan is sent again.
        """

    def find(self, plan: Plan) -> Reference | None:
        """The run that this plan became, if an earlier `submit` was cut off after the engine took it; None when the
        engine has none of that name. Raises Rejected when the engine cannot be asked.
        """

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises robotrain.run.RunGone when the engine does not know it."""

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """The log line by line, event lines included, without line ends.

        follow: wait for its beginning, and go on to the run's end; without it, what there is now, at once, also while
        the run is pending. tail: only the last so many lines of what there is, and with follow all that come after.
        """

    def cancel(self, reference: Reference) -> None:
        """Stop the run; a run that ended is left as it is."""

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """What the run left, or has left by now: its complete checkpoints, oldest first, then other files."""

    def bring(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole, to the new folder or file `to`. Raises Rejected when it is not there any more."""

    def forget(self, reference: Reference, dry_run: bool = False) -> int:
        """Remove what the run left, for good; the bytes that frees. dry_run: only count them. Asked only of runs that
        ended, and only by `runs --prune`; a platform may do without it: then it keeps what it keeps.
        """

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make a checkpoint of the run (default: its last) a version of the model `name`; one that is already stays
        the version it is. Raises Rejected. Asked only of a platform whose `register_model` is yes.
        """
