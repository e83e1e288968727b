"""The plugins of a command: chosen by options or environment, each loaded once, when a name it claims is needed.

`.env`, job files and robotrain.toml do not count: the content of a repository must not make code run.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from robotrain.command_table import COMMANDS
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.platform_loading import PlatformNotLoaded
from robotrain.plugins.discovery import HOOKS, Claim, exclude_claims, read_claims
from robotrain.plugins.failures import (
    PluginError,
    PluginFailure,
    PluginNotInstalled,
    UnsuitablePlugin,
    make_failure,
    make_no_workload_error,
    suggest_exclusion,
)

if TYPE_CHECKING:
    from robotrain.model.health import Check
    from robotrain.model.plan import RenderedPlan
    from robotrain.model.run import RunRecord
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload
    from robotrain.plugins.hookspecs import HookManager

make_problem = Messages(__file__)

PluginMode = Literal["all", "none"]
"""Which plugins run: all, or only built-in ones."""
DECLARING = ("platform", "source", "workload")
"""The families whose hooks declare something under a name."""
DRIVEN, NATIVE, SWEEP = (
    "robotrain.pipelines.driven_engine:DrivenEngine",
    "robotrain.pipelines.native_engine:NativeEngine",
    "robotrain.sweeps.sweep_engine:SweepEngine",
)
"""What runs a pipeline: a driver of this machine, or its platform's engine; and a sweep."""


class Plugins:
    """The installed plugins: their claims, which are loaded, and which failed.

    :param without: names of the excluded ones.
    :param file: the folder of a plugin file, if any.
    """

    def __init__(self, mode: PluginMode = "all", without: Sequence[str] = (), file: str = "") -> None:
        self.mode, self.without, self._file = mode, tuple(without), file
        self.failures: dict[Claim, PluginFailure] = {}
        self.loaded: dict[Claim, Any] = {}
        """The module of each claim, or the app of a command."""
        self._declared: dict[Claim, Any] = {}
        """What each loaded claim stands for: a platform, source kind or workload."""
        self._provided: dict[tuple[str, Any], dict[str, Any]] = {}
        self._reported: set[Claim] = set()

    def copy(self) -> Plugins:
        """Return the same plugins for another job: failures are retried and reported again."""
        plugins_copy = Plugins(self.mode, self.without, self._file)
        plugins_copy.claims = self.claims  # a plugin file runs once
        return plugins_copy

    @property
    def choice(self) -> dict[str, str]:
        """The environment variables that make another process choose the same plugins."""
        return {
            "ROBOTRAIN_PLUGINS": self.mode,
            "ROBOTRAIN_WITHOUT": ",".join(self.without),
            "ROBOTRAIN_PLUGINS_FROM": os.path.abspath(self._file) if self._file else "",
        }

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Return every claim of this mode that is not excluded. Raise Rejected if the plugin file cannot be loaded."""
        claims = read_claims()
        if self._file and self.mode != "none":
            from robotrain.plugins import plugin_file

            claims = (*claims, *plugin_file.read_plugin_file(self._file))
        if self.without:
            claims = exclude_claims(claims, self.without)
        return tuple(claim for claim in claims if claim.built_in) if self.mode == "none" else claims

    def list_claims(self, family: str, name: str = "") -> list[Claim]:
        """Return the claims of a family; with `name` only those to it."""
        return [claim for claim in self.claims if claim.family == family and name in ("", claim.name)]

    def list_names(self, family: str) -> list[str]:
        """Return the names claimed in a family, without importing any plugin."""
        return sorted({claim.name for claim in self.list_claims(family)})

    def platform(self, name: str) -> Platform:
        """Return the platform `name`. Raise PluginError."""
        return cast(Platform, self._require("platform", name))

    def platforms(self) -> dict[str, Platform]:
        """Return every platform that loads, by name."""
        return self._list_working("platform")

    def platform_of(self, record: RunRecord) -> Platform:
        """Return the platform of a run; for a pipeline, one that shows its steps as one run. Raise PluginError."""
        platform = self.platform(record.platform)
        return self.make_pipeline_platform(platform, record.native, record.is_sweep) if record.steps else platform

    def platform_of_plan(self, rendered_plan: RenderedPlan) -> Platform:
        """Return the platform of a plan, as `platform_of` does of its run. Raise PluginError."""
        platform = self.platform(rendered_plan.plan.platform)
        is_sweep = rendered_plan.plan.job.profile.outputs.is_sweep
        return (
            self.make_pipeline_platform(platform, rendered_plan.native, is_sweep) if rendered_plan.steps else platform
        )

    def make_pipeline_platform(self, platform: Platform, is_native: bool, is_sweep: bool) -> Platform:
        """Return a platform for a pipeline as one run: its engine starts the steps, or a driver of this machine."""
        engine_class = resolve_name(NATIVE if is_native else SWEEP if is_sweep else DRIVEN)
        return Platform(
            name=platform.name,
            summary=platform.summary,
            engine_class=lambda whole: engine_class(whole, platform, self),
            capabilities=platform.capabilities,
            cancel_command=platform.cancel_command if is_native else "",
        )

    def workload(self, name: str) -> Workload:
        """Return the workload `name`. Raise PluginError, or Rejected without a name where none is the default."""
        if not name:
            raise make_no_workload_error(self.list_names("workload"))
        return cast("Workload", self._require("workload", name))

    def workloads(self) -> dict[str, Workload]:
        """Return every workload that loads, by name."""
        return self._list_working("workload")

    def default_workload(self) -> str:
        """Return the workload of a job that names none: the first by name that is claimed as it; empty without any."""
        return next(iter(self._list_default_workloads()), "")

    def default_problems(self) -> list[Problem]:
        """Return a warning if several workloads are claimed as the default."""
        workload_names = self._list_default_workloads()
        if len(workload_names) < 2:
            return []
        ways = [Suggestion(name, "names it") for name in workload_names]
        return [
            make_problem(
                "workload-defaults",
                *ways,
                count=len(workload_names),
                names=", ".join(workload_names),
                used=workload_names[0],
            )
        ]

    def _list_default_workloads(self) -> list[str]:
        return sorted({claim.name for claim in self.list_claims("workload") if claim.is_default})

    def source_kind(self, name: str) -> SourceKind:
        """Return the source kind that a plugin claims as `name`. Raise PluginError."""
        return cast("SourceKind", self._require("source", name))

    def source_kinds(self) -> dict[str, SourceKind]:
        """Return every source kind that loads, by name, and those of the platforms loaded so far."""
        claimed_kinds, claimed_names = self._list_working("source"), self.list_names("source")
        kinds: dict[str, SourceKind] = {}
        for claim, module in sorted(self.loaded.items(), key=lambda pair: not pair[0].built_in):
            provided = self._read_declarations("source", module) if claim.family in ("source", "platform") else {}
            for name, kind in provided.items():  # in the order of its module
                if claimed_kinds.get(name) is kind or (claim.family == "platform" and name not in claimed_names):
                    kinds.setdefault(name, kind)
        return kinds

    def find_source_problems(self) -> list[Problem]:
        """Return a warning for each failed plugin of source kinds: its flags are missing."""
        failures = self.failures.values()
        return [failure.make_problem(severity="warning") for failure in failures if failure.claim.family == "source"]

    def load_command(self, name: str) -> Any:
        """Return the Typer app of a plugin command, None if nobody claims it. Raise PluginError if it is broken."""
        return self._require("command", name) if self.list_claims("command", name) else None

    def list_checks(self, platform: str = "") -> list[tuple[Claim, Check]]:
        """Return the checks of plugins, each with its claim; with `platform` without those of other platforms."""
        self.load_all(platform)
        checks: list[tuple[Claim, Check]] = []
        for claim in self.list_claims("platform", platform):
            if loaded := self._get(claim):
                try:
                    checks += [(claim, check) for check in cast(Platform, loaded).engine.list_checks(None)]
                except PlatformNotLoaded as error:
                    self.failures[claim] = make_failure(claim, error.__cause__ or error)
        for owners, implementation in self.list_implementations(HOOKS["health"]):
            if any(_is_relevant(owner, platform) for owner in owners):
                checks += [(owners[0], check) for check in implementation.function()]
        return checks

    def load_all(self, platform: str = "") -> None:
        """Load every claim, so that `failures` is complete; with `platform` no other platform's."""
        for claim in self.claims:
            if _is_relevant(claim, platform):
                self._load(claim)

    def load_site(self) -> list[PluginFailure]:
        """Load the site plugins, and return the failures that were not reported yet."""
        failed_claims = [
            claim for claim in self.list_claims("") if not self._load(claim) and claim not in self._reported
        ]
        self._reported.update(failed_claims)
        return [self.failures[claim] for claim in failed_claims]

    def list_implementations(self, hook: str) -> list[tuple[list[Claim], Any]]:
        """Return a hook's loaded implementations, each with the claims of its module; built-in ones first."""
        implementations = [
            ([claim for claim, loaded in self.loaded.items() if loaded is implementation.plugin], implementation)
            for implementation in getattr(self._manager.hook, hook).get_hookimpls()
        ]
        return sorted((pair for pair in implementations if pair[0]), key=lambda pair: not pair[0][0].built_in)

    def list_hooks(self, claim: Claim) -> list[str]:
        """Return the names of the hooks in a loaded claim's module; none of a command."""
        if claim not in self.loaded or claim.family == "command":
            return []
        return sorted(caller.name for caller in self._manager.get_hookcallers(self.loaded[claim]) or ())

    @functools.cached_property
    def _manager(self) -> HookManager:
        from robotrain.plugins.hookspecs import HookManager

        return HookManager()

    def _load(self, claim: Claim) -> bool:
        """Load a claim and return whether it is loaded; a plugin that fails is left out, and named in `failures`."""
        if claim in self.loaded or claim in self.failures:
            return claim in self.loaded
        try:
            self._reject_collision(claim)
            loaded = claim.load()
            if claim.family != "command":
                self._manager.add(loaded)
            if claim.family in DECLARING:
                self._declared[claim] = self._read_declarations(claim.family, loaded)[claim.name]
            self.loaded[claim] = loaded
        except (KeyboardInterrupt, PluginError):
            raise
        except BaseException as cause:  # SystemExit too, and what ends a task
            self.failures[claim] = make_failure(claim, cause)
        return claim in self.loaded

    def _reject_collision(self, claim: Claim) -> None:
        """Raise UnsuitablePlugin for a name that another plugin claims too, or that is a command of robotrain."""
        rivals = [] if claim.built_in else self.list_claims(claim.family, claim.name)
        if len(rivals) > 1:
            claimants = " and ".join(rival.distribution for rival in rivals)
            other_claims = [rival for rival in rivals if rival.project != claim.project and not rival.built_in]
            raise UnsuitablePlugin(f"claimed by {claimants}; uninstall one", *map(suggest_exclusion, other_claims))
        if claim.family == "command" and claim.name in COMMANDS:
            raise UnsuitablePlugin(f"robotrain itself has a command {claim.name}")

    def _read_declarations(self, family: str, module: Any) -> dict[str, Any]:
        """Return what a module provides by the hook of a family, which is called once, by name."""
        if (family, module) not in self._provided:
            hooks = getattr(self._manager.hook, HOOKS[family]).get_hookimpls()
            functions = [hook.function for hook in hooks if hook.plugin is module]
            declarations = [each for function in functions for each in call_providing_hook(family, function)]
            self._provided[family, module] = {declaration.name: declaration for declaration in declarations}
        return self._provided[family, module]

    def _get(self, claim: Claim) -> Any:
        """Return what a claim stands for; None if its plugin fails to load, which is in `failures`."""
        if not self._load(claim):
            return None
        return self._declared.get(claim, self.loaded[claim])

    def _require(self, family: str, name: str) -> Any:
        """Return what the first plugin that claims a name, and does not fail, provides under it. Raise PluginError."""
        claims = self.list_claims(family, name)
        for claim in claims:
            if (loaded := self._get(claim)) is not None:
                return loaded
        if not claims:
            raise PluginNotInstalled(family, name, self.list_names(family), self.without)
        raise PluginError(self.failures[claims[0]])

    def _list_working(self, family: str) -> dict[str, Any]:
        """Return everything of a family that does not fail, by name."""
        working: dict[str, Any] = {}
        for claim in sorted(self.list_claims(family), key=lambda claim: claim.name):
            if (implementation := self._get(claim)) is not None:
                working.setdefault(claim.name, implementation)
        return working


def call_providing_hook(family: str, hook: Callable[[], Iterable[Any]]) -> list[Any]:
    """Return what the hook of a family provides."""
    return list(hook())


def _is_relevant(claim: Claim, platform: str) -> bool:
    """Return whether a claim is of no platform, or of this one; every claim is, without a platform."""
    return not platform or claim.family != "platform" or claim.name == platform


_active_plugins: list[Plugins] = []


def get_plugins() -> Plugins:
    """Return the plugins of the running command, for calls from Python; else those of the environment."""
    return _active_plugins[-1].copy() if _active_plugins else choose_plugins()


@contextlib.contextmanager
def use_plugins(plugins: Plugins) -> Iterator[None]:
    """Make a command's plugins those of calls from Python, in every thread."""
    _active_plugins.append(plugins)
    try:
        yield
    finally:
        _active_plugins.remove(plugins)


def choose_plugins(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """Return the chosen plugins. Raise Rejected for an impossible choice, before anything is done."""
    mode = mode or os.environ.get("ROBOTRAIN_PLUGINS") or "all"
    if mode not in get_args(PluginMode):
        raise Rejected([make_problem("value-invalid", modes=", ".join(get_args(PluginMode)))])
    environment_names = [name.strip() for name in os.environ.get("ROBOTRAIN_WITHOUT", "").split(",")]
    excluded_names = tuple(filter(None, (*without, *environment_names)))
    plugins = Plugins(cast(PluginMode, mode), excluded_names, file or os.environ.get("ROBOTRAIN_PLUGINS_FROM", ""))
    if excluded_names:
        _ = plugins.claims  # reports a name that excludes nothing at once
    return plugins


def choose_plugins_or_default(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """Return the chosen plugins, for completion: all installed ones if the choice is impossible."""
    try:
        plugins = choose_plugins(mode, without, file)
        _ = plugins.claims
    except Rejected:
        return Plugins()
    return plugins
