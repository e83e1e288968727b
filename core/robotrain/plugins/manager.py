"""The plugins of a command: chosen by switches or environment, loaded when a name is needed.

`.env`, job files and robotrain.toml have no say in it: what a repository holds must not make code run.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from robotrain.errors import Problem, Rejected, Stage
from robotrain.plugins import loader
from robotrain.plugins.claims import Claim, read_claims
from robotrain.plugins.errors import PluginError, PluginFailure, UnsuitablePlugin
from robotrain.plugins.loader import PluginLoader

if TYPE_CHECKING:
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunChange, RunRecord, Status
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload

__all__ = ["PluginError", "PluginFailure", "PluginMode", "Plugins"]

PluginMode = Literal["all", "none", "strict"]
"""Which plugins run: all; none but those robotrain itself comes with; all, and a failure is fatal."""
PLATFORMS_HOOK, WORKLOADS_HOOK, SOURCE_KINDS_HOOK = (
    "robotrain_platforms",
    "robotrain_workloads",
    "robotrain_source_kinds",
)


class Plugins:
    """The installed plugins. without: names of those that are left out. file: the folder of a plugin file, if any."""

    def __init__(self, mode: PluginMode = "all", without: Sequence[str] = (), file: str = "") -> None:
        self.mode = mode
        self._without, self._file = tuple(without), file
        self._reported: set[Claim] = set()

    def copy(self) -> Plugins:
        """The very same plugins for another job: what failed or was told before is tried and told anew."""
        other = Plugins(self.mode, self._without, self._file)
        other.claims = self.claims  # a plugin file runs once
        return other

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim of this mode that is not switched off. Raises Rejected for a plugin file that cannot be had."""
        found = read_claims()
        if self._file and self.mode != "none":
            from robotrain.plugins import plugin_file

            found = (*found, *plugin_file.read_plugin_file(self._file))
        if self._without:
            from robotrain.plugins import claims

            found = claims.exclude_claims(found, self._without)
        return tuple(claim for claim in found if claim.built_in) if self.mode == "none" else found

    @functools.cached_property
    def _loader(self) -> PluginLoader:
        return PluginLoader(self.claims, strict=self.mode == "strict")

    @property
    def failures(self) -> dict[Claim, PluginFailure]:
        """What failed so far, by claim."""
        return self._loader.failures

    def list_names(self, family: str) -> list[str]:
        """The names claimed in a family, without importing any."""
        return sorted({claim.name for claim in self.claims if claim.family == family})

    def platform(self, name: str) -> Platform:
        """The platform `name`. Raises PluginError."""
        return cast("Platform", self._load_by_name("platform", name, PLATFORMS_HOOK, loader.accept_platform))

    def workload(self, name: str) -> Workload:
        """The workload `name`. Raises PluginError, and Rejected where nobody named one and none is the default."""
        if not name:
            from robotrain.plugins.claims import no_workload

            raise no_workload(self.list_names("workload"))
        return cast("Workload", self._load_by_name("workload", name, WORKLOADS_HOOK, loader.accept_workload))

    def source_kinds(self) -> dict[str, SourceKind]:
        """Every kind that loads, by name, and those of the platforms loaded so far."""
        for claim in self._loader.list_claims("source"):
            self._loader.load_claim(claim)
        found: dict[str, SourceKind] = {}
        for owners, kind in self._loader.call_hook(SOURCE_KINDS_HOOK, loader.accept_source_kind):
            if self._may_provide(owners, kind.name):
                found.setdefault(kind.name, kind)
        for claim in self._loader.list_claims("source"):
            if claim.name not in found:
                self._record_unkept_claim(claim)
        return found

    def describe_excluded_kinds(self) -> str:
        """A sentence about source kinds that are switched off, whose options are missed; empty without any."""
        if not self._without:
            return ""
        from robotrain.plugins import claims

        return claims.describe_excluded_kinds(self._without)

    def find_source_problems(self) -> list[Problem]:
        """A warning for each plugin that was to bring source kinds and failed: its flags are missed."""
        failures = self.failures.values()
        return [one.make_problem(severity="warning") for one in failures if one.claim.family == "source"]

    def platforms(self) -> dict[str, Platform]:
        """Every platform that loads, by name."""
        return self._load_family("platform", self.platform)

    def workloads(self) -> dict[str, Workload]:
        """Every workload that loads, by name."""
        return self._load_family("workload", self.workload)

    def default_workload(self) -> str:
        """The workload that a job means which names none: the first by name that says so; empty where none does."""
        return next(iter(self._defaults()), "")

    def default_problems(self) -> list[Problem]:
        """A warning where several workloads say that they are the default."""
        names = self._defaults()
        if len(names) < 2:
            return []
        from robotrain.plugins.claims import several_defaults

        return [several_defaults(names)]

    def _defaults(self) -> list[str]:
        return [name for name, workload in self.workloads().items() if workload.default]

    def load_command(self, name: str) -> Any:
        """The Typer app of a plugin command, None when nobody claims it. Raises PluginError when it is broken."""
        claims = self._loader.list_claims("command", name)
        return self._loader.load_first(claims) if claims else None

    def find_command_claim(self, name: str) -> Claim | None:
        """Who brings a plugin command that was loaded."""
        return next(
            (claim for claim in self._loader.list_claims("command", name) if claim in self._loader.loaded), None
        )

    def find_site_problems(self, job: Job, platform: str) -> Iterator[Problem]:
        """What the rules of this site say of a job, and a warning for each not enforced; see `site_plugins`."""
        from robotrain.plugins import site

        yield from site.find_site_problems(self, job, platform)

    def notify_run_changed(
        self, run: RunRecord, change: RunChange = "sent", status: Status | None = None
    ) -> list[Problem]:
        """Tell every site plugin what happened to a run; those that fail are named in warnings; see `site_plugins`."""
        from robotrain.plugins import site

        return site.notify_run_changed(self, run, change, status)

    def list_health_checks(self, platform: str = "") -> list[tuple[Claim, HealthCheck]]:
        """The checks that plugins bring, beside who brings them; with `platform` without those of other platforms."""
        self.load_all(platform)
        found: list[tuple[Claim, HealthCheck]] = []
        for owners, check in self._loader.call_hook("robotrain_health", loader.accept_health_check):
            if not platform or any(_is_relevant(owner, platform) for owner in owners):
                found.append((owners[0], check))
        return found

    def load_all(self, platform: str = "") -> None:
        """Load each claim, in time, so that `failures` is complete; with `platform` no other platform's."""
        for claim in self.claims:
            if not platform or _is_relevant(claim, platform):
                self._loader.load_claim(claim)
        self.source_kinds(), self.workloads()
        self._load_family("platform", self.platform, [platform] if platform else None)

    def load_site(self) -> list[PluginFailure]:
        """Load the site plugins; those that failed and were not told of yet."""
        claims = self._loader.list_claims("")
        for claim in claims:
            self._loader.load_claim(claim)
        failures = [self.failures[claim] for claim in claims if claim in self.failures]
        untold = [failure for failure in failures if not failure.hook and failure.claim not in self._reported]
        self._reported.update(failure.claim for failure in untold)
        return untold

    def site_hooks(self, name: str) -> list[tuple[Claim, Any]]:
        """The implementations of a hook beside who brings them; a plugin that hung before is left out."""
        from robotrain.plugins.calls import PluginTimeout

        hung = {claim for claim, failure in self.failures.items() if isinstance(failure.cause, PluginTimeout)}
        return [(claim, hook) for claim, hook in self._loader.list_implementations(name) if claim not in hung]

    def list_hooks(self, claim: Claim) -> list[str]:
        """The names of the hooks that a loaded claim's module has; none of a command."""
        return self._loader.list_hooks(claim)

    def record_failure(self, claim: Claim, cause: BaseException, hook: str) -> PluginFailure:
        """Keep what a hook failed with."""
        return self._loader.record_failure(claim, cause, hook)

    def get_api_version(self, claim: Claim) -> int | None:
        """The version of the plugin API that a claim's module says; None where it did not load."""
        from robotrain.plugins import hookspecs

        return hookspecs.get_api_version(claim) if claim in self._loader.loaded else None

    def find_warnings(self) -> dict[Claim, list[str]]:
        """What is odd about plugins that load, once everything is loaded; see `loading.remarks`."""
        from robotrain.plugins import declarations

        return declarations.find_plugin_warnings(self._loader, self.source_kinds(), self.platforms())

    def _load_family(
        self, family: str, one: Callable[[str], Any], names: Iterable[str] | None = None
    ) -> dict[str, Any]:
        found = {}
        for name in self.list_names(family) if names is None else names:
            for claim in self._loader.list_claims(family, name):
                self._loader.load_claim(claim)  # here nobody asked for it: it has its little time
            try:
                found[name] = one(name)
            except PluginError:
                if self.mode == "strict":
                    raise
        return found  # those that failed are in `failures`

    def _load_by_name(self, family: str, name: str, hook: str, accept: Callable[[Any, Claim], Any]) -> Any:
        claims = self._loader.list_claims(family, name)
        if not claims:
            from robotrain.plugins.claims import make_unknown_name_error

            raise make_unknown_name_error(family, name, self.list_names(family), self._without)
        module = self._loader.load_first(claims)
        for owners, thing in self._loader.call_hook(hook, accept):
            if thing.name == name and any(self._loader.loaded.get(claim) is module for claim in owners):
                return thing
        claim = next(claim for claim in claims if self._loader.loaded.get(claim) is module)
        self._record_unkept_claim(claim)
        raise PluginError(self.failures[claim], self.mode == "strict")

    def _record_unkept_claim(self, claim: Claim) -> None:
        """A claim that is not kept is a failure, unless the reason is known."""
        if claim in self._loader.loaded and not self._has_failed(claim):
            why = UnsuitablePlugin(f"{claim.point.value} claims it but brings none of that name")
            self._loader.record_or_raise(claim, why)

    def _has_failed(self, claim: Claim) -> bool:
        """Whether it failed; where one module claims several names, the failure of a hook is kept with the first."""
        module = self._loader.loaded[claim]
        for one, failure in list(self.failures.items()):
            if failure.hook and self._loader.loaded.get(one) is module:
                self.failures.setdefault(claim, failure._replace(claim=claim))
        return claim in self.failures

    def _may_provide(self, owners: Sequence[Claim], kind: str) -> bool:
        """Whether a kind is claimed by who brings it, or is a platform's own that nobody else claims."""
        if owners[0].built_in or any((owner.family, owner.name) == ("source", kind) for owner in owners):
            return True
        return not self._loader.list_claims("source", kind) and any(owner.family == "platform" for owner in owners)


def _is_relevant(claim: Claim, platform: str) -> bool:
    return claim.family != "platform" or claim.name == platform


MODE_VARIABLE, WITHOUT_VARIABLE, PLUGIN_FILE_VARIABLE = (
    "ROBOTRAIN_PLUGINS",
    "ROBOTRAIN_WITHOUT",
    "ROBOTRAIN_PLUGINS_FROM",
)

_active_plugins: list[Plugins] = []


def get_plugins() -> Plugins:
    """For a call from Python: those of the command it is made in, as by a plugin's; else those of the environment."""
    return _active_plugins[-1].copy() if _active_plugins else choose_plugins()


@contextlib.contextmanager
def use_plugins(found: Plugins) -> Iterator[None]:
    """Calls from Python that are made in a command have its plugins, in whatever thread they are made."""
    _active_plugins.append(found)
    try:
        yield
    finally:
        _active_plugins.remove(found)


def choose_plugins(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """The plugins, found once. Raises Rejected for a choice that cannot be had, before anything is done."""
    mode = mode or os.environ.get(MODE_VARIABLE) or "all"
    if mode not in get_args(PluginMode):
        title = f"{MODE_VARIABLE} is one of {', '.join(get_args(PluginMode))}"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    named = [name.strip() for name in os.environ.get(WITHOUT_VARIABLE, "").split(",")]
    left_out = tuple(filter(None, (*without, *named)))
    found = Plugins(cast(PluginMode, mode), left_out, file or os.environ.get(PLUGIN_FILE_VARIABLE, ""))
    if left_out:
        _ = found.claims  # a name that switches nothing off is told at once
    return found


def choose_plugins_or_default(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """The same for a completion, which has nobody to tell: what is installed where the choice cannot be had."""
    try:
        found = choose_plugins(mode, without, file)
        _ = found.claims
    except Rejected:
        return Plugins()
    return found
