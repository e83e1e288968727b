"""The plugins of a command: chosen by options or environment, loaded when a name is needed.

`.env`, job files and robotrain.toml do not count: the content of a repository must not make code run.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from robotrain.errors import Problem, Rejected, Stage
from robotrain.plugins.claims import (
    Claim,
    describe_excluded_kinds,
    exclude_claims,
    make_no_workload_error,
    make_several_defaults_problem,
    make_unknown_name_error,
    read_claims,
)

if TYPE_CHECKING:
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunChange, RunRecord, Status
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload
    from robotrain.plugins.failures import PluginFailure
    from robotrain.plugins.loader import PluginLoader

PluginMode = Literal["all", "none", "strict"]
"""Which plugins run: all; only built-in ones; all, and a failure is fatal."""


class Plugins:
    """The installed plugins.

    :param without: names of the excluded ones.
    :param file: the folder of a plugin file, if any.
    """

    def __init__(self, mode: PluginMode = "all", without: Sequence[str] = (), file: str = "") -> None:
        self.mode = mode
        self._without, self._file = tuple(without), file
        self._reported: set[Claim] = set()

    def copy(self) -> Plugins:
        """Return the same plugins for another job: failures are retried and reported again."""
        other = Plugins(self.mode, self._without, self._file)
        other.claims = self.claims  # a plugin file runs once
        return other

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Return every claim of this mode that is not excluded. Raise Rejected if the plugin file cannot be loaded."""
        found = read_claims()
        if self._file and self.mode != "none":
            from robotrain.plugins import plugin_file

            found = (*found, *plugin_file.read_plugin_file(self._file))
        if self._without:
            found = exclude_claims(found, self._without)
        return tuple(claim for claim in found if claim.built_in) if self.mode == "none" else found

    @functools.cached_property
    def _loader(self) -> PluginLoader:
        from robotrain.plugins.loader import PluginLoader  # completion of a command's name does without it

        return PluginLoader(self.claims, strict=self.mode == "strict")

    @property
    def failures(self) -> dict[Claim, PluginFailure]:
        """Return the failures so far, by claim."""
        return self._loader.failures

    def list_names(self, family: str) -> list[str]:
        """Return the names claimed in a family, without importing any plugin."""
        return sorted({claim.name for claim in self.claims if claim.family == family})

    def platform(self, name: str) -> Platform:
        """Return the platform `name`. Raise PluginError."""
        return cast("Platform", self._load_by_name("platform", name))

    def workload(self, name: str) -> Workload:
        """Return the workload `name`. Raise PluginError, or Rejected without a name where none is the default."""
        if not name:
            raise make_no_workload_error(self.list_names("workload"))
        return cast("Workload", self._load_by_name("workload", name))

    def source_kinds(self) -> dict[str, SourceKind]:
        """Return every source kind that loads, by name, and those of the platforms loaded so far."""
        for claim in self._loader.list_claims("source"):
            self._loader.load_claim(claim)
        found: dict[str, SourceKind] = {}
        for owners, kind in self._loader.list_provided("source"):
            if self._may_provide(owners, kind.name):
                found.setdefault(kind.name, kind)
        for claim in self._loader.list_claims("source"):
            if claim.name not in found:
                self._record_unkept_claim(claim)
        return found

    def describe_excluded_kinds(self) -> str:
        """Return a sentence about excluded source kinds, whose options are missing; empty without any."""
        return describe_excluded_kinds(self._without)

    def find_source_problems(self) -> list[Problem]:
        """Return a warning for each failed plugin of source kinds: its flags are missing."""
        failures = self.failures.values()
        return [one.make_problem(severity="warning") for one in failures if one.claim.family == "source"]

    def platforms(self) -> dict[str, Platform]:
        """Return every platform that loads, by name."""
        return self._load_family("platform", self.platform)

    def workloads(self) -> dict[str, Workload]:
        """Return every workload that loads, by name."""
        return self._load_family("workload", self.workload)

    def default_workload(self) -> str:
        """Return the workload of a job that names none: the first by name that declares it; empty without any."""
        return next(iter(self._defaults()), "")

    def default_problems(self) -> list[Problem]:
        """Return a warning if several workloads declare that they are the default."""
        names = self._defaults()
        return [make_several_defaults_problem(names)] if len(names) > 1 else []

    def _defaults(self) -> list[str]:
        return [name for name, workload in self.workloads().items() if workload.default]

    def load_command(self, name: str) -> Any:
        """Return the Typer app of a plugin command, None if nobody claims it. Raise PluginError if it is broken."""
        claims = self._loader.list_claims("command", name)
        return self._loader.load_first(claims) if claims else None

    def find_command_claim(self, name: str) -> Claim | None:
        """Return the claim of a plugin command that was loaded."""
        return next(
            (claim for claim in self._loader.list_claims("command", name) if claim in self._loader.loaded), None
        )

    def find_site_problems(self, job: Job, platform: str) -> Iterator[Problem]:
        """Yield the problems that site rules find in a job, and a warning for each rule that failed; see `site`."""
        from robotrain.plugins import site

        yield from site.find_site_problems(self, job, platform)

    def notify_run_changed(
        self, run: RunRecord, change: RunChange = "sent", status: Status | None = None
    ) -> list[Problem]:
        """Notify every site plugin of a change of a run, and return warnings about those that failed; see `site`."""
        from robotrain.plugins import site

        return site.notify_run_changed(self, run, change, status)

    def list_health_checks(self, platform: str = "") -> list[tuple[Claim, HealthCheck]]:
        """Return the plugins' health checks, each with its claim; with `platform` without those of other platforms."""
        self.load_all(platform)
        found: list[tuple[Claim, HealthCheck]] = []
        for owners, check in self._loader.list_provided("health"):
            if not platform or any(_is_relevant(owner, platform) for owner in owners):
                found.append((owners[0], check))
        return found

    def load_all(self, platform: str = "") -> None:
        """Load every claim, so that `failures` is complete; with `platform` no other platform's."""
        for claim in self.claims:
            if not platform or _is_relevant(claim, platform):
                self._loader.load_claim(claim)
        self.source_kinds(), self.workloads()
        self._load_family("platform", self.platform, [platform] if platform else None)

    def load_site(self) -> list[PluginFailure]:
        """Load the site plugins, and return the failures that were not reported yet."""
        claims = self._loader.list_claims("")
        for claim in claims:
            self._loader.load_claim(claim)
        failures = [self.failures[claim] for claim in claims if claim in self.failures]
        unreported = [failure for failure in failures if not failure.hook and failure.claim not in self._reported]
        self._reported.update(failure.claim for failure in unreported)
        return unreported

    def site_hooks(self, name: str) -> list[tuple[Claim, Any]]:
        """Return the implementations of a hook, each with its claim, without plugins that hung before."""
        from robotrain.plugins.calls import PluginTimeout

        hung = {claim for claim, failure in self.failures.items() if isinstance(failure.cause, PluginTimeout)}
        return [(claim, hook) for claim, hook in self._loader.list_implementations(name) if claim not in hung]

    def list_hooks(self, claim: Claim) -> list[str]:
        """Return the names of the hooks in a loaded claim's module; none of a command."""
        return self._loader.list_hooks(claim)

    def record_failure(self, claim: Claim, cause: BaseException, hook: str) -> PluginFailure:
        """Record what a hook failed with."""
        return self._loader.record_failure(claim, cause, hook)

    def get_api_version(self, claim: Claim) -> int | None:
        """Return the plugin API version that a claim's module declares; None if it is not loaded."""
        from robotrain.plugins import hookspecs

        return hookspecs.get_api_version(claim) if claim in self._loader.loaded else None

    def find_warnings(self) -> dict[Claim, list[str]]:
        """Return warnings about plugins that load, once everything is loaded; see `declarations`."""
        from robotrain.plugins import declarations

        return declarations.find_plugin_warnings(self._loader, self.source_kinds(), self.platforms())

    def _load_family(
        self, family: str, one: Callable[[str], Any], names: Iterable[str] | None = None
    ) -> dict[str, Any]:
        from robotrain.plugins.failures import PluginError

        found = {}
        for name in self.list_names(family) if names is None else names:
            for claim in self._loader.list_claims(family, name):
                self._loader.load_claim(claim)  # nobody asked for it by name: the short time limit
            try:
                found[name] = one(name)
            except PluginError:
                if self.mode == "strict":
                    raise
        return found  # those that failed are in `failures`

    def _load_by_name(self, family: str, name: str) -> Any:
        from robotrain.plugins.failures import PluginError

        claims = self._loader.list_claims(family, name)
        if not claims:
            raise make_unknown_name_error(family, name, self.list_names(family), self._without)
        module = self._loader.load_first(claims)
        for owners, thing in self._loader.list_provided(family):
            if thing.name == name and any(self._loader.loaded.get(claim) is module for claim in owners):
                return thing
        claim = next(claim for claim in claims if self._loader.loaded.get(claim) is module)
        self._record_unkept_claim(claim)
        raise PluginError(self.failures[claim], self.mode == "strict")

    def _record_unkept_claim(self, claim: Claim) -> None:
        """Record a failure for a claim whose plugin does not provide it, unless one is known."""
        from robotrain.plugins.failures import UnsuitablePlugin

        if claim in self._loader.loaded and not self._has_failed(claim):
            why = UnsuitablePlugin(f"{claim.point.value} declares this name, but the plugin does not provide it")
            self._loader.record_or_raise(claim, why)

    def _has_failed(self, claim: Claim) -> bool:
        """Return whether a claim failed; of a module with several claims the first has the failure of a hook."""
        module = self._loader.loaded[claim]
        for one, failure in list(self.failures.items()):
            if failure.hook and self._loader.loaded.get(one) is module:
                self.failures.setdefault(claim, failure._replace(claim=claim))
        return claim in self.failures

    def _may_provide(self, owners: Sequence[Claim], kind: str) -> bool:
        """Return whether the owners claim a kind, or it is a platform's own that nobody else claims."""
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
    """Return the plugins of the running command, for calls from Python; else those of the environment."""
    return _active_plugins[-1].copy() if _active_plugins else choose_plugins()


@contextlib.contextmanager
def use_plugins(found: Plugins) -> Iterator[None]:
    """Make a command's plugins those of calls from Python, in every thread."""
    _active_plugins.append(found)
    try:
        yield
    finally:
        _active_plugins.remove(found)


def choose_plugins(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """Return the chosen plugins. Raise Rejected for an impossible choice, before anything is done."""
    mode = mode or os.environ.get(MODE_VARIABLE) or "all"
    if mode not in get_args(PluginMode):
        title = f"{MODE_VARIABLE} is one of {', '.join(get_args(PluginMode))}"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    named = [name.strip() for name in os.environ.get(WITHOUT_VARIABLE, "").split(",")]
    left_out = tuple(filter(None, (*without, *named)))
    found = Plugins(cast(PluginMode, mode), left_out, file or os.environ.get(PLUGIN_FILE_VARIABLE, ""))
    if left_out:
        _ = found.claims  # reports a name that excludes nothing at once
    return found


def choose_plugins_or_default(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """Return the chosen plugins, for completion: all installed ones if the choice is impossible."""
    try:
        found = choose_plugins(mode, without, file)
        _ = found.claims
    except Rejected:
        return Plugins()
    return found
