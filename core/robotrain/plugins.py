"""Loading plugins: one only when a name it claims is asked for; a failure is kept with its cause."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import pluggy

from robotrain import hookspecs
from robotrain.claims import Claim, built_in, read_claims
from robotrain.problem import Problem, Rejected, Stage

if TYPE_CHECKING:
    from robotrain.job import Job
    from robotrain.platforms import Platform
    from robotrain.run import RunRecord
    from robotrain.source import SourceKind
    from robotrain.workload import Workload

Mode = Literal["all", "none", "strict"]
"""Which plugins run: all; none but those robotrain itself comes with; all, and a failure is fatal."""


class Failure(NamedTuple):
    """A claim that could not be kept, and why."""

    claim: Claim
    cause: BaseException

    def __str__(self) -> str:
        return f"{self.claim} ({self.claim.distribution}) failed to load: {type(self.cause).__name__}: {self.cause}"


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
        self._told: list[Failure] = []
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
        """What the rules of this site say of a job. A rule that fails is a warning: it must not stop the work."""
        for claim, implementation in self._site(self._manager.hook.robotrain_check):
            try:
                yield from _problems(_call(implementation, job=job, platform=platform))
            except Exception as cause:
                self._fail(claim, cause)
        yield from self._site_failures()

    def run_changed(self, run: "RunRecord") -> list[Problem]:
        """Tell every site plugin; those that fail are named in warnings."""
        for claim, implementation in self._site(self._manager.hook.robotrain_run_changed):
            try:
                _call(implementation, run=run)
            except Exception as cause:
                self._fail(claim, cause)
        return list(self._site_failures())

    def load_everything(self) -> None:
        """Load each claim, so that `failures` is complete."""
        self.source_kinds(), self.platforms(), self.workloads()
        self._load_family("")
        self._load_family("command")

    def _every(self, family: str, one: Callable[[str], Any]) -> dict[str, Any]:
        found = {}
        for name in self.names(family):
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

    def _load(self, claim: Claim) -> bool:
        if claim in self._loaded or claim in self.failures:
            return claim in self._loaded
        try:
            self._must_be_free(claim)
            self._loaded[claim] = loaded = claim.point.load()
            if claim.family != "command" and not self._manager.is_registered(loaded):
                self._manager.register(loaded)  # once, however many names the module claims
        except (Exception, SystemExit) as cause:
            self._loaded.pop(claim, None)
            self._fail(claim, cause)
            return False
        return True

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
            except Exception as cause:
                self._fail(owners[0], cause)
                continue
            for owner in owners:
                yield from ((owner, thing) for thing in things)

    def _site(self, hook: Any) -> Iterator[tuple[Claim, Any]]:
        """The implementations of `hook`, with every site plugin loaded."""
        self._load_family("")
        for implementation in hook.get_hookimpls():
            yield self._owners(implementation)[0], implementation

    def _owners(self, implementation: Any) -> list[Claim]:
        """The claims whose module an implementation is in."""
        return [claim for claim, loaded in self._loaded.items() if loaded is implementation.plugin]

    def _site_failures(self) -> Iterator[Problem]:
        """Those not told yet, in order that nobody believes in a rule that is not enforced."""
        for claim, failure in self.failures.items():
            if failure not in self._told and not claim.family:
                self._told.append(failure)
                yield _site_failed(failure)

    def _fail(self, claim: Claim, cause: BaseException) -> None:
        self.failures[claim] = Failure(claim, cause)
        if self.mode == "strict":
            raise PluginError(str(self.failures[claim])) from cause


def _call(implementation: Any, **given: Any) -> Any:
    """Call a hook with the arguments it takes: it may leave out those it does not use, as pluggy allows."""
    return implementation.function(*(given[name] for name in implementation.argnames))


def _problems(answer: Any) -> list[Problem]:
    """What a site's rule says. Raises TypeError for an answer that is no problems."""
    found = list(answer or ())
    if not all(isinstance(problem, Problem) for problem in found):
        raise TypeError("robotrain_check answers with robotrain.problem.Problem objects")
    return found


def _site_failed(failure: Failure) -> Problem:
    return Problem(
        code="site-plugin-failed",
        stage=Stage.CHECK,
        severity="warning",
        title=f"the site plugin {failure.claim} ({failure.claim.distribution}) failed and was skipped",
        why=f"{type(failure.cause).__name__}: {failure.cause}",
    )
