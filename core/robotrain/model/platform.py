"""Platforms: where a job runs. What a plugin implements to add one."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from robotrain_runtime.contract import document
    from robotrain_runtime.contract.event import Registered

    from robotrain.errors import Problem
    from robotrain.model.capabilities import Capabilities
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.run import Output, Reference, Status


class PlatformDefault(NamedTuple):
    """A value that a platform gives a parameter when nobody says one, and why, in a few words."""

    value: str
    why: str


class Platform(Protocol):
    """One place to run. `check` and `render` are pure, most others only look; `submit` acts.

    name: its name on the command line. summary: a line for help. settings: a frozen dataclass of
    `Annotated[type, Param(…)]`. declined: options of other platforms that people try here, each with what to say.
    """

    name: str
    summary: str
    settings: type
    capabilities: Capabilities
    option_hints: Mapping[str, str]

    def check(self, job: Job, settings: Any) -> Iterable[Problem]:
        """Its own rules on a resolved job; pure."""

    def render(self, job: Job, settings: Any, run: str, payload: Payload, container_plugins: Mapping[str, str]) -> Plan:
        """Exactly what will be sent; pure. halves: the container modules, by what they stand for."""

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """A cheap look at the world: what would make this plan fail. Changes nothing."""

    def submit(self, plan: Plan) -> Reference:
        """Hand the plan to the engine; what it returns finds the run again.

        Raises Rejected only when the engine refused and nothing of the run is there, and robotrain.errors.NotSubmitted when
        it was interrupted before the engine was asked; anything else that it raises means that nobody knows, and `find`
        is asked before the plan is sent again: robotrain.errors.Unanswered says what is known.
        """

    def find(self, plan: Plan) -> Reference | None:
        """The run that this plan became, if an earlier `submit` was cut off after the engine took it; None when the
        engine has none of that name. Raises Rejected when the engine cannot be asked.
        """

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises robotrain.model.run.RunGone when the engine does not know it, and Rejected when it does not
        tell: one that is `passing`, or anything else that is raised, may pass by itself and is asked again by whoever
        follows the run; any other, as when nobody is signed in, ends that at once.
        """

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """The log line by line, event lines included, without line ends. What the platform itself says in it begins
        with its name in brackets.

        follow: wait for its beginning, and go on to the run's end; without it, what there is now, at once, also while
        the run is pending. tail: only the last so many lines of what there is, and with follow all that come after.
        """

    def cancel(self, reference: Reference) -> None:
        """Stop the run; a run that ended is left as it is."""

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """What the run left, or has left by now: its complete checkpoints, oldest first, then other files."""

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole, to the new folder or file `to`. Raises Rejected when it is not there any more."""

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make a checkpoint of the run (default: its last) a version of the model `name`; one that is already stays
        the version it is. Raises Rejected. Asked only of a platform whose `register_model` is yes.
        """


class OptionalPlatform(Protocol):
    """What a platform may have as well; one without is asked nothing. `defaults`, `derived`, `halves`, `shown` and
    `sent` are pure.
    """

    def defaults(self, settings: Any) -> Mapping[str, PlatformDefault]:
        """Parameters of a workload that are better something else here, by name; those that the workload does not have
        do not count, and whatever a person says wins.
        """

    def derive_defaults(self, job: Job, settings: Any) -> Mapping[str, PlatformDefault]:
        """What settings and parameters that nobody said amount to here, by name, as `explain` shows them; an empty
        value for one that is asked when a job is sent. Nothing else hears of it.
        """

    def container_plugins(self, job: Job, settings: Any) -> Mapping[str, str]:
        """Container modules that it adds to a job's, by what they stand for (`tracking.NAME`: see
        `robotrain_runtime.contract.container_plugin.TrackingContainerPlugin`).
        """

    def query_settings(self, job: Job, settings: Any) -> Mapping[str, PlatformDefault]:
        """Its settings that nobody said and that only a network tells, such as as whom jobs sign in on a machine.

        Asked when a job is pinned, once; the rest keep their defaults. Raises Rejected with why it was not told, as
        warnings where the job can be sent all the same.
        """

    prepare_ignores: Collection[str]
    """Codes of problems that do not stop `prepare`, such as `source-missing`: what is missing only a run needs."""

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Bring what the plan needs there, such as uploaded folders, and send nothing: a line for each thing that is
        there now. Asked by `submit --assets-only`; its own `submit` does as much. Raises Rejected.
        """

    def find_uploaded(self, plan: Plan) -> Iterable[document.JobSource]:
        """The sources of the plan that it has already, whole and as they were pinned, such as an uploaded folder.

        Asked when a job is sent again and one of them is gone where it came from: what is here is not missed.
        """

    def read_submitted_spec(self, plan: Plan, reference: Reference) -> bytes:
        """The native spec as the engine holds it: what `submit --save-spec` writes, in place of that of the plan."""

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """What of a reference people may look for, such as the engine's own id of the run, by what it is called."""

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int:
        """Remove what the run left, for good; the bytes that frees. dry_run: only count them. Asked only of runs that
        ended, and only by `runs --prune`; without it a platform keeps what it keeps.
        """
