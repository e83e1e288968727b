"""The installed plugins: what they bring, by name. One is loaded only when a name it claims is asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from robotrain.claims import Claim, read_claims
from robotrain.loading import brought
from robotrain.loading.failure import Failure, PluginError
from robotrain.loading.loader import Loader
from robotrain.loading.ways import Unsuitable

if TYPE_CHECKING:
    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.platforms import Platform
    from robotrain.problem import Problem
    from robotrain.run import Change, RunRecord, Status
    from robotrain.source import SourceKind
    from robotrain.workload import Workload

__all__ = ["Failure", "Mode", "PluginError", "Plugins"]

Mode = Literal["all", "none", "strict"]
"""Which plugins run: all; none but those robotrain itself comes with; all, and a failure is fatal."""
PLATFORMS, WORKLOADS, KINDS = "robotrain_platforms", "robotrain_workloads", "robotrain_source_kinds"


class Plugins:
    """The installed plugins. without: names of those that are left out. file: the folder of a plugin file, if any."""

    def __init__(self, mode: Mode = "all", without: Sequence[str] = (), file: str = "") -> None:
        self.mode = mode
        self._without, self._file = tuple(without), file
        self._told: set[Claim] = set()

    def anew(self) -> Plugins:
        """The very same plugins for another job: what failed or was told before is tried and told anew."""
        other = Plugins(self.mode, self._without, self._file)
        other.claims = self.claims  # a plugin file runs once
        return other

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim of this mode that is not switched off. Raises Rejected for a plugin file that cannot be had."""
        found = read_claims()
        if self._file and self.mode != "none":
            from robotrain.loading import plugin_file

            found = (*found, *plugin_file.claims(self._file))
        if self._without:
            from robotrain.loading import switched_off

            found = switched_off.left(found, self._without)
        return tuple(claim for claim in found if claim.own) if self.mode == "none" else found

    @functools.cached_property
    def _loader(self) -> Loader:
        return Loader(self.claims, strict=self.mode == "strict")

    @property
    def failures(self) -> dict[Claim, Failure]:
        """What failed so far, by claim."""
        return self._loader.failures

    def names(self, family: str) -> list[str]:
        """The names claimed in a family, without importing any."""
        return sorted({claim.name for claim in self.claims if claim.family == family})

    def platform(self, name: str) -> Platform:
        """The platform `name`. Raises PluginError."""
        return cast("Platform", self._one("platform", name, PLATFORMS, brought.platform))

    def workload(self, name: str) -> Workload:
        """The workload `name`. Raises PluginError, and Rejected where nobody named one and none is the default."""
        if not name:
            from robotrain.loading.switched_off import no_workload

            raise no_workload(self.names("workload"))
        return cast("Workload", self._one("workload", name, WORKLOADS, brought.workload))

    def source_kinds(self) -> dict[str, SourceKind]:
        """Every kind that loads, by name, and those of the platforms loaded so far."""
        for claim in self._loader.family("source"):
            self._loader.load(claim)
        found: dict[str, SourceKind] = {}
        for owners, kind in self._loader.brought(KINDS, brought.source_kind):
            if self._may_bring(owners, kind.name):
                found.setdefault(kind.name, kind)
        for claim in self._loader.family("source"):
            if claim.name not in found:
                self._not_brought(claim)
        return found

    def kinds_left_out(self) -> str:
        """A sentence about source kinds that are switched off, whose options are missed; empty without any."""
        if not self._without:
            return ""
        from robotrain.loading import switched_off

        return switched_off.kinds(self._without)

    def source_problems(self) -> list[Problem]:
        """A warning for each plugin that was to bring source kinds and failed: its flags are missed."""
        failures = self.failures.values()
        return [one.problem(severity="warning") for one in failures if one.claim.family == "source"]

    def platforms(self) -> dict[str, Platform]:
        """Every platform that loads, by name."""
        return self._every("platform", self.platform)

    def workloads(self) -> dict[str, Workload]:
        """Every workload that loads, by name."""
        return self._every("workload", self.workload)

    def default_workload(self) -> str:
        """The workload that a job means which names none: the first by name that says so; empty where none does."""
        return next(iter(self._defaults()), "")

    def default_problems(self) -> list[Problem]:
        """A warning where several workloads say that they are the default."""
        names = self._defaults()
        if len(names) < 2:
            return []
        from robotrain.loading.switched_off import several_defaults

        return [several_defaults(names)]

    def _defaults(self) -> list[str]:
        return [name for name, workload in self.workloads().items() if workload.default]

    def command(self, name: str) -> Any:
        """The Typer app of a plugin command, None when nobody claims it. Raises PluginError when it is broken."""
        claims = self._loader.family("command", name)
        return self._loader.required(claims) if claims else None

    def command_claim(self, name: str) -> Claim | None:
        """Who brings a plugin command that was loaded."""
        return next((claim for claim in self._loader.family("command", name) if claim in self._loader.loaded), None)

    def site_problems(self, job: Job, platform: str) -> Iterator[Problem]:
        """What the rules of this site say of a job, and a warning for each not enforced; see `site_plugins`."""
        from robotrain import site_plugins

        yield from site_plugins.problems(self, job, platform)

    def run_changed(self, run: RunRecord, change: Change = "sent", status: Status | None = None) -> list[Problem]:
        """Tell every site plugin what happened to a run; those that fail are named in warnings; see `site_plugins`."""
        from robotrain import site_plugins

        return site_plugins.changed(self, run, change, status)

    def health(self, platform: str = "") -> list[tuple[Claim, HealthCheck]]:
        """The checks that plugins bring, beside who brings them; with `platform` without those of other platforms."""
        self.load_everything(platform)
        found: list[tuple[Claim, HealthCheck]] = []
        for owners, check in self._loader.brought("robotrain_health", brought.health_check):
            if not platform or any(_concerns(owner, platform) for owner in owners):
                found.append((owners[0], check))
        return found

    def load_everything(self, platform: str = "") -> None:
        """Load each claim, in time, so that `failures` is complete; with `platform` no other platform's."""
        for claim in self.claims:
            if not platform or _concerns(claim, platform):
                self._loader.load(claim)
        self.source_kinds(), self.workloads()
        self._every("platform", self.platform, [platform] if platform else None)

    def load_site(self) -> list[Failure]:
        """Load the site plugins; those that failed and were not told of yet."""
        claims = self._loader.family("")
        for claim in claims:
            self._loader.load(claim)
        failures = [self.failures[claim] for claim in claims if claim in self.failures]
        untold = [failure for failure in failures if not failure.hook and failure.claim not in self._told]
        self._told.update(failure.claim for failure in untold)
        return untold

    def site_hooks(self, name: str) -> list[tuple[Claim, Any]]:
        """The implementations of a hook beside who brings them; a plugin that hung before is left out."""
        from robotrain.limited import Overdue

        hung = {claim for claim, failure in self.failures.items() if isinstance(failure.cause, Overdue)}
        return [(claim, hook) for claim, hook in self._loader.implementations(name) if claim not in hung]

    def hooks(self, claim: Claim) -> list[str]:
        """The names of the hooks that a loaded claim's module has; none of a command."""
        return self._loader.hooks(claim)

    def failed(self, claim: Claim, cause: BaseException, hook: str) -> Failure:
        """Keep what a hook failed with."""
        return self._loader.failed(claim, cause, hook)

    def api(self, claim: Claim) -> int | None:
        """The version of the plugin API that a claim's module says; None where it did not load."""
        from robotrain.loading import api_version

        return api_version.of(claim) if claim in self._loader.loaded else None

    def remarks(self) -> dict[Claim, list[str]]:
        """What is odd about plugins that load, once everything is loaded; see `loading.remarks`."""
        from robotrain.loading import remarks

        return remarks.of(self._loader, self.source_kinds(), self.platforms())

    def _every(self, family: str, one: Callable[[str], Any], names: Iterable[str] | None = None) -> dict[str, Any]:
        found = {}
        for name in self.names(family) if names is None else names:
            for claim in self._loader.family(family, name):
                self._loader.load(claim)  # here nobody asked for it: it has its little time
            try:
                found[name] = one(name)
            except PluginError:
                if self.mode == "strict":
                    raise
        return found  # those that failed are in `failures`

    def _one(self, family: str, name: str, hook: str, shape: Callable[[Any, Claim], Any]) -> Any:
        claims = self._loader.family(family, name)
        if not claims:
            from robotrain.loading.switched_off import unknown

            raise unknown(family, name, self.names(family), self._without)
        module = self._loader.required(claims)
        for owners, thing in self._loader.brought(hook, shape):
            if thing.name == name and any(self._loader.loaded.get(claim) is module for claim in owners):
                return thing
        claim = next(claim for claim in claims if self._loader.loaded.get(claim) is module)
        self._not_brought(claim)
        raise PluginError(self.failures[claim], self.mode == "strict")

    def _not_brought(self, claim: Claim) -> None:
        """A claim that is not kept is a failure, unless the reason is known."""
        if claim in self._loader.loaded and not self._failed(claim):
            why = Unsuitable(f"{claim.point.value} claims it but brings none of that name")
            self._loader.fail(claim, why)

    def _failed(self, claim: Claim) -> bool:
        """Whether it failed; where one module claims several names, the failure of a hook is kept with the first."""
        module = self._loader.loaded[claim]
        for one, failure in list(self.failures.items()):
            if failure.hook and self._loader.loaded.get(one) is module:
                self.failures.setdefault(claim, failure._replace(claim=claim))
        return claim in self.failures

    def _may_bring(self, owners: Sequence[Claim], kind: str) -> bool:
        """Whether a kind is claimed by who brings it, or is a platform's own that nobody else claims."""
        if owners[0].own or any((owner.family, owner.name) == ("source", kind) for owner in owners):
            return True
        return not self._loader.family("source", kind) and any(owner.family == "platform" for owner in owners)


def _concerns(claim: Claim, platform: str) -> bool:
    return claim.family != "platform" or claim.name == platform
