"""Loading plugins: one only when a name it claims is asked for; a failure is kept with its cause."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

import pluggy

from robotrain import hookspecs
from robotrain.claims import Claim, built_in, read_claims
from robotrain.problem import Problem, Rejected, Stage

if TYPE_CHECKING:
    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.platforms import Platform
    from robotrain.run import Change, RunRecord, Status
    from robotrain.source import SourceKind
    from robotrain.workload import Workload

T = TypeVar("T")
Mode = Literal["all", "none", "strict"]
"""Which plugins run: all; none but those robotrain itself comes with; all, and a failure is fatal."""


class Failure(NamedTuple):
    """A claim that could not be kept, and why. hook: the one it failed in; empty when it did not load."""

    claim: Claim
    cause: BaseException
    hook: str = ""

    @property
    def who(self) -> str:
        """The claim, and what brings it."""
        return f"{self.claim} ({self.claim.distribution})"

    @property
    def why(self) -> str:
        """The cause, in one line and without secrets: a message may hold the address it could not reach."""
        from robotrain.limited import Overdue
        from robotrain.redaction import redact

        told = redact(str(self.cause))
        return told if isinstance(self.cause, Overdue) else f"{type(self.cause).__name__}: {told}"

    def __str__(self) -> str:
        return f"{self.who} failed {f'in {self.hook}' if self.hook else 'to load'}: {self.why}"


class PluginError(Rejected):
    """A plugin that was asked for is not there, or failed; says what is installed."""

    def __init__(self, title: str) -> None:
        super().__init__([Problem(code="plugin-failed", stage=Stage.USAGE, title=title)])


class Plugins:
    """The installed plugins. Loading is kept: a module is imported once, a failure is reported again and again."""

    def __init__(self, mode: Mode = "all") -> None:
        self.mode = mode
        self.failures: dict[Claim, Failure] = {}
        self._loaded: dict[Claim, Any] = {}
        self._told: set[Claim] = set()
        self._manager = pluggy.PluginManager("robotrain")
        self._manager.add_hookspecs(hookspecs)

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim of this mode."""
        return read_claims(only_built_in=self.mode == "none")

    def names(self, family: str) -> list[str]:
        """The names claimed in a family, without importing any."""
        return sorted({claim.name for claim in self.claims if claim.family == family})

    def platform(self, name: str) -> "Platform":
        """The platform `name`. Raises PluginError."""
        return cast("Platform", self._one("platform", name, self._manager.hook.robotrain_platforms))

    def workload(self, name: str) -> "Workload":
        """The workload `name`. Raises PluginError."""
        return cast("Workload", self._one("workload", name, self._manager.hook.robotrain_workloads))

    def source_kinds(self) -> "dict[str, SourceKind]":
        """Every kind that loads, by name, and those of the platforms loaded so far."""
        self._load_family("source")
        return {kind.name: kind for _, kind in self._brought(self._manager.hook.robotrain_source_kinds)}

    def platforms(self) -> "dict[str, Platform]":
        """Every platform that loads, by name."""
        return self._every("platform", self.platform)

    def workloads(self) -> "dict[str, Workload]":
        """Every workload that loads, by name."""
        return self._every("workload", self.workload)

    def command(self, name: str) -> Any:
        """The Typer app of a plugin command, None when nobody claims it. Raises PluginError when it is broken."""
        claims = self._family("command", name)
        return self._required(claims) if claims else None

    def site_problems(self, job: "Job", platform: str) -> Iterator[Problem]:
        """What the rules of this site say of a job, and a warning for each not enforced; see `site_plugins`."""
        from robotrain import site_plugins

        yield from site_plugins.problems(self, job, platform)

    def run_changed(self, run: "RunRecord", change: "Change" = "sent", status: "Status | None" = None) -> list[Problem]:
        """Tell every site plugin what happened to a run; those that fail are named in warnings; see `site_plugins`."""
        from robotrain import site_plugins

        return site_plugins.changed(self, run, change, status)

    def health(self, platform: str = "") -> "list[tuple[Claim, HealthCheck]]":
        """The checks that plugins bring, beside who brings them; with `platform` without those of other platforms."""
        from robotrain import limited

        limit = limited.seconds()
        self.load_everything(platform)
        found: list[tuple[Claim, HealthCheck]] = []
        for implementation in self._manager.hook.robotrain_health.get_hookimpls():
            owners = self._owners(implementation)
            if platform and not any(_concerns(owner, platform) for owner in owners):
                continue
            try:
                checks = _in_time(functools.partial(_checks, implementation), limit)
                found += [(owners[0], check) for check in checks]
            except Exception as cause:
                self.failed(owners[0], cause, "robotrain_health")
        return found

    def load_everything(self, platform: str = "") -> None:
        """Load each claim, in time, so that `failures` is complete; with `platform` no other platform's."""
        from robotrain import limited

        limit = limited.seconds()
        for claim in self.claims:
            if not platform or _concerns(claim, platform):
                self._load(claim, limit)
        self.source_kinds(), self.workloads()
        self._every("platform", self.platform, [platform] if platform else None)

    def load_site(self, limit: float) -> list[Failure]:
        """Load the site plugins; those that failed and were not told of yet."""
        for claim in self._family(""):
            self._load(claim, limit)
        failures = [self.failures[claim] for claim in self._family("") if claim in self.failures]
        untold = [failure for failure in failures if not failure.hook and failure.claim not in self._told]
        self._told.update(failure.claim for failure in untold)
        return untold

    def site_hooks(self, name: str) -> list[tuple[Claim, Any]]:
        """The implementations of a hook beside who brings them; a plugin that hung before is left out."""
        from robotrain.limited import Overdue

        hooks = getattr(self._manager.hook, name).get_hookimpls()
        found = [(self._owners(hook)[0], hook) for hook in hooks]
        hung = {claim for claim, failure in self.failures.items() if isinstance(failure.cause, Overdue)}
        return [(claim, hook) for claim, hook in found if claim not in hung]

    def hooks(self, claim: Claim) -> list[str]:
        """The names of the hooks that a loaded claim's module has; none of a command."""
        if claim not in self._loaded or claim.family == "command":
            return []
        return sorted(caller.name for caller in self._manager.get_hookcallers(self._loaded[claim]) or ())

    def failed(self, claim: Claim, cause: BaseException, hook: str) -> Failure:
        """Keep what a hook failed with."""
        self.failures[claim] = failure = Failure(claim, cause, hook)
        return failure

    def _every(self, family: str, one: Callable[[str], Any], names: Iterable[str] | None = None) -> dict[str, Any]:
        found = {}
        for name in self.names(family) if names is None else names:
            try:
                found[name] = one(name)
            except PluginError:
                if self.mode == "strict":
                    raise
        return found  # those that failed are in `failures`

    def _one(self, family: str, name: str, hook: Any) -> Any:
        claims = self._family(family, name)
        if not claims:
            from robotrain.redaction import redact

            installed = ", ".join(self.names(family)) or "none"
            raise PluginError(f"no {family} {redact(name)!r} is installed; installed: {installed}")
        module = self._required(claims)
        for claim, thing in self._brought(hook):
            if self._loaded.get(claim) is module and thing.name == name:
                return thing
        claim = next(claim for claim in claims if self._loaded.get(claim) is module)
        if claim not in self.failures:
            self._fail(claim, LookupError(f"{claim.point.value} claims it but brings none of that name"))
        raise PluginError(str(self.failures[claim]))

    def _required(self, claims: Sequence[Claim]) -> Any:
        """What the claim of a name loads to. Raises PluginError."""
        for claim in claims:
            if self._load(claim):
                return self._loaded[claim]
        raise PluginError(str(self.failures[claims[0]]))

    def _family(self, family: str, name: str = "") -> list[Claim]:
        return [claim for claim in self.claims if claim.family == family and name in ("", claim.name)]

    def _load_family(self, family: str) -> None:
        for claim in self._family(family):
            self._load(claim)

    def _load(self, claim: Claim, limit: float | None = None) -> bool:
        """limit: the seconds it has; without, as many as it takes: somebody asked for this very plugin."""
        if claim in self._loaded or claim in self.failures:
            return claim in self._loaded
        try:
            self._must_be_free(claim)
            self._loaded[claim] = loaded = claim.point.load() if limit is None else _in_time(claim.point.load, limit)
            if claim.family != "command" and not self._manager.is_registered(loaded):
                self._register(loaded)  # once, however many names the module claims
        except (Exception, SystemExit) as cause:
            self._loaded.pop(claim, None)
            self._fail(claim, cause)
            return False
        return True

    def _register(self, module: Any) -> None:
        """Take a module's hooks, all of them or none. Raises pluggy.PluginValidationError, also for a misspelt one."""
        try:
            self._manager.register(module)
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            if self._manager.is_registered(module):
                self._manager.unregister(module)
            raise

    def _must_be_free(self, claim: Claim) -> None:
        """Of several claims to one name, only that of robotrain itself is taken. Raises LookupError for the others."""
        rivals = self._family(claim.family, claim.name)
        if len(rivals) > 1 and claim.project not in built_in():
            who = " and ".join(rival.distribution for rival in rivals)
            raise LookupError(f"claimed by {who}; uninstall one")

    def _brought(self, hook: Any) -> Iterator[tuple[Claim, Any]]:
        """What each loaded plugin returns from `hook`, beside its claim; one that raises is a failure, not the end."""
        for implementation in hook.get_hookimpls():
            owners = self._owners(implementation)
            try:
                things: Iterable[Any] = list(implementation.function())
            except (Exception, SystemExit) as cause:
                self._fail(owners[0], cause, hook.name)
                continue
            for owner in owners:
                yield from ((owner, thing) for thing in things)

    def _owners(self, implementation: Any) -> list[Claim]:
        """The claims whose module an implementation is in."""
        return [claim for claim, loaded in self._loaded.items() if loaded is implementation.plugin]

    def _fail(self, claim: Claim, cause: BaseException, hook: str = "") -> None:
        failure = self.failed(claim, cause, hook)
        if self.mode == "strict":
            raise PluginError(str(failure)) from cause


def _concerns(claim: Claim, platform: str) -> bool:
    return claim.family != "platform" or claim.name == platform


def _checks(implementation: Any) -> "list[HealthCheck]":
    """What a plugin brings to look at. Raises TypeError for an answer that is something else."""
    from robotrain.health import HealthCheck

    found = list(implementation.function())
    if not all(isinstance(check, HealthCheck) for check in found):
        raise TypeError("robotrain_health answers with robotrain.health.HealthCheck objects")
    return found


def _in_time(function: Callable[[], T], limit: float) -> T:
    """What `function` returns within `limit` seconds. Raises what it raises, and robotrain.limited.Overdue."""
    from robotrain import limited

    (asked,) = limited.together([function], limit)
    if asked.error:
        raise asked.error
    return cast(T, asked.value)
