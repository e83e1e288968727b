"""Platforms: where a job runs. A plugin declares a `Platform`, whose engine, a class of the plugin, acts for it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.model.capabilities import FEATURES, Capabilities
from robotrain.model.platform_loading import load_part
from robotrain.model.preview import RunPlace
from robotrain.model.reference import LOGIN_KEY
from robotrain.model.support import Support, make_refusal

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.event import Registered

    from robotrain.model.health import Check
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.reference import Reference
    from robotrain.model.run import Output, Status
    from robotrain.model.workload import Workload


IMAGE_SETTING = "image"
"""The setting, of platforms that run containers, that names the image."""


class PlatformDefault(NamedTuple):
    """A parameter's value that a platform uses when the user gives none."""

    value: str
    why: str
    """The reason in a few words, as `explain` shows it."""


@dataclass(frozen=True)
class NoSettings:
    """The settings of a platform that has none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Platform:
    """A place to run jobs, as its plugin declares it: all that help and the TAB key need."""

    name: str
    """The name on the command line."""
    summary: str = ""
    """A line for help."""
    engine_class: str | Callable[[Platform], Any] = ""
    """What acts for it: `MODULE:CLASS`, imported at the first act, or the class itself."""
    plans_class: str | Callable[[Platform], Any] = ""
    """What makes its plans, if that is not the engine's class: `render` need not import what acts."""
    settings: type = NoSettings
    """A frozen dataclass of `Annotated[type, Param(…)]`."""
    capabilities: Capabilities = field(default_factory=Capabilities)
    """What the platform supports; what is not declared is unknown."""
    cancel_command: str = ""
    """The engine's own command that ends a run, with keys of its reference in braces: `scancel {job}`."""

    @cached_property
    def engine(self) -> PlatformEngine:
        """What acts for the platform. Raise PlatformNotLoaded."""
        engine: PlatformEngine = load_part(self.engine_class, self)
        return engine

    @cached_property
    def plans(self) -> PlatformPlans:
        """What makes its plans. Raise PlatformNotLoaded."""
        plans: PlatformPlans = load_part(self.plans_class or self.engine_class, self)
        return plans

    def get_engine_for(self, feature: type[Feature]) -> Feature:
        """Return the engine as a class of `platform_features`; one with its defaults if the engine is none."""
        return self.engine if isinstance(self.engine, feature) else feature(self)

    def get_plans_for(self, feature: type[Feature]) -> Feature:
        """Return the plans as a class of `platform_features`; one with its defaults if the plans are none."""
        return self.plans if isinstance(self.plans, feature) else feature(self)


class PlatformPart:
    """What a platform loads when it is needed: its plans or its engine, or a class that is both."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform


Feature = TypeVar("Feature", bound=PlatformPart)


class PlatformPlans(PlatformPart):
    """What makes the plans of a platform: pure, it asks nobody. Only `render` has no default."""

    def check(self, job: Job, settings: Any) -> Iterable[Problem]:
        """Check a resolved job against the platform's own rules."""
        return ()

    def render(self, job: Job, settings: Any, run: str, payload: Payload, container_plugins: Mapping[str, str]) -> Plan:
        """Return exactly what `submit` will send.

        :param container_plugins: the container modules of the job, by what they stand for (`source.NAME`, …).
        """
        raise NotImplementedError

    def make_package(self, plan: Plan, settings: Mapping[str, Any], workload: Workload) -> Mapping[str, bytes]:
        """Return files, by path, that `robotrain render --to` writes beside a plan, for people who submit it by hand.

        :param settings: the values of the platform's settings, by name.
        """
        return {}

    def defaults(self, settings: Any) -> Mapping[str, PlatformDefault]:
        """Return better defaults for parameters, by name; unknown names are ignored, and user values win."""
        return {}

    def derive_defaults(self, job: Job, settings: Any) -> Mapping[str, PlatformDefault]:
        """Return what unset settings and parameters amount to, by name, for `explain` only.

        The value is empty where it is only known at submission.
        """
        return {}

    def describe_run(self, job: Job, settings: Any, run: str) -> RunPlace:
        """Return where a run of a job will work, for `submit --dry-run`. It asks nobody outside of this machine."""
        return RunPlace()

    def container_plugins(self, job: Job, settings: Any) -> Mapping[str, str]:
        """Return container modules to add to the job's, by what they stand for, such as `tracking.NAME`."""
        return {}

    def is_remote_folder(self, source: JobSource, settings: Any) -> bool:
        """Return whether a source is a folder of another machine: what is at its path on this one does not count."""
        return False


class PlatformEngine(PlatformPart):
    """What acts for a platform: sends plans, and asks about their runs.

    It implements `submit`, `find`, `status`, `logs`, `outputs` and `download`, and, where the platform's capabilities
    include the features `cancel` and `register_model`, `cancel` and `register`. The other methods have defaults.
    `describe_reference` is pure.
    """

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        """Return the checks of what would stop a submit of this plan, or for `doctor`, without one, of any plan.

        They run side by side. Raise Rejected for a plan that cannot be read.
        """
        return ()

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """Return what would make this plan fail or wait, all at once. Nothing is changed."""
        from robotrain.model.health import find_problems

        try:
            checks = [*self.list_checks(plan)]
        except Rejected as rejected:
            return rejected.problems
        return find_problems(check.run for check in checks)

    def submit(self, plan: Plan) -> Reference:
        """Send the plan to the engine and return what finds the run again.

        Raise Rejected only when the engine refused and nothing of the run exists, and NotSubmitted when interrupted
        before the engine was asked. After any other exception the state is unknown, and `find` is called before the
        plan is sent again; Unanswered says what is known. An engine that gives a name once, and has given this one to
        another run, refuses with `Problem.taken_by`.
        """
        raise NotImplementedError

    def find(self, plan: Plan) -> Reference | None:
        """Return the run of this plan if an interrupted `submit` created it, else None.

        `Plan.digest` tells plans of the same run apart: submit it with the run, and compare it here.
        Raise Rejected when the engine cannot be asked.
        """
        raise NotImplementedError

    def status(self, reference: Reference) -> Status:
        """Return the status of a run.

        Raise RunGone when the engine does not know it, and Rejected when it does not answer. A
        `transient` Rejected and any other exception are retried by whoever follows the run; other Rejected are not.
        """
        raise NotImplementedError

    def list_statuses(self, references: Sequence[Reference]) -> Sequence[Status | None]:
        """Return the status of each run that one request to the engine tells, and None for every other run.

        For those, and for runs that ended without success, whose reason a list may lack, `status` is called.
        Raise Rejected when the engine does not answer.
        """
        return [None] * len(references)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the log's lines, event lines included, without line ends. The platform's own lines begin with `[NAME]`.

        :param follow: wait for the log to begin, and continue to the run's end; otherwise return at once.
        :param tail: only the last lines of what exists now; with follow also all later ones.
        """
        raise NotImplementedError

    def events_file(self, reference: Reference) -> Path | None:
        """Return the growing file with the run's event lines, all of them, if this machine has it.

        Progress is then read from it, and only what is new; otherwise from the whole log.
        """
        return None

    def cancel(self, reference: Reference) -> None:
        """Stop the run; a run that has ended does not change. By default rejected, as the feature `cancel` says."""
        raise make_feature_error(self.platform, "cancel")

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the run's outputs so far: complete checkpoints, oldest first, then other files."""
        raise NotImplementedError

    def download(self, reference: Reference, output: Output, to: Path) -> Sequence[str] | None:
        """Copy one complete output to the new folder or file `to`. Raise Rejected when it no longer exists.

        Return the paths in it that were left out, such as links to elsewhere; None stands for none.
        """
        raise NotImplementedError

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register a checkpoint of the run (default: the last) as a version of the model `name`, once. Raise Rejected.

        Called only where the feature `register_model` is supported.
        """
        raise make_feature_error(self.platform, "register_model")

    def suggest_settings(self) -> Mapping[str, PlatformDefault]:
        """Return settings that the platform's own tools on this machine are configured with, for `robotrain init`.

        Only files are read. A setting without a value is shown for users to fill in.
        """
        return {}

    def query_settings(self, job: Job, settings: Any) -> Mapping[str, PlatformDefault]:
        """Return values of unset settings that only the network knows; called once, when a job is pinned.

        Raise Rejected with the reasons, as warnings where the job can be sent without them.
        """
        return {}

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """Return what users may look for of a reference, such as the engine's own id of the run, by its name."""
        return {}

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int | None:
        """Remove what an ended run left, and return the bytes that frees; None when the platform keeps its files.

        Called only by `prune`. With dry_run, only count.
        """
        return None


def has_own_method(engine: PlatformEngine, base: type[PlatformPart], method: str) -> bool:
    """Return whether the class of an engine implements a method of `PlatformEngine` or of `platform_features`."""
    return isinstance(engine, base) and getattr(type(engine), method) is not getattr(base, method)


def format_cancel_command(platform: Platform, reference: Reference) -> str:
    """Return the engine's own command that ends a run, for a terminal; empty if it has none, as for a part of a run."""
    try:
        command = platform.cancel_command.format_map({name: shlex.quote(value) for name, value in reference.items()})
        host = reference.get(LOGIN_KEY, "")
    except KeyError:  # of the reference of a part
        return ""
    return shlex.join(["ssh", host, command]) if command and host else command


ListPlatforms = Callable[[], Mapping[str, Platform]]
"""Return the installed platforms; called only for the suggestions of a refusal."""


def make_feature_error(platform: Platform, feature: str) -> Rejected:
    """Return the error for a request about a run that needs a feature which the platform does not support."""
    support = platform.capabilities.feature(feature)
    return Rejected([make_refusal("feature-not-there", f"cannot {FEATURES[feature]}", support, platform.name)])


def suggest_platforms(
    platform: Platform, platforms: ListPlatforms, accepts: Callable[[Capabilities], Any], remark: str
) -> tuple[Suggestion, ...]:
    """Return suggestions to use another platform whose capabilities `accepts` finds sufficient."""
    return tuple(
        Suggestion(f"--platform {name}", remark)
        for name, other_platform in platforms().items()
        if name != platform.name and accepts(other_platform.capabilities)
    )


class Need(NamedTuple):
    """Something that a job needs of its platform."""

    code: str
    """Of its refusal."""
    verb: str
    """What a platform does with `noun`: `accept`; empty for what it can do, which is all in `noun`."""
    noun: str
    ask: Callable[[Capabilities], Support]
    remark: str
    """What other platforms are suggested with."""
    where: str = ""
    given: str = ""


def check_need(need: Need, platform: Platform, platforms: ListPlatforms, *ways: Suggestion) -> Iterator[Problem]:
    """Yield the refusal of what a platform does not support, with the others that do after `ways`."""
    if support := need.ask(platform.capabilities):
        return
    refusal = "does not declare that it can" if support.level == "unknown" else "does not"
    phrase = f"{refusal} {need.verb} {need.noun}" if need.verb else f"cannot {need.noun}"
    ways = (*ways, *suggest_platforms(platform, platforms, need.ask, need.remark))
    yield make_refusal(need.code, phrase, support, platform.name, ways, need.where, need.given)
