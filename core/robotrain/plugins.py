"""Finding plugins by what they claim, and loading one only when a name it claims is asked for.

A claim is the name of an entry point in the group `robotrain`: `platform.NAME`, `source.NAME`, `workload.NAME`,
`command.NAME`; a name without a dot is a site plugin. Reading claims imports nothing.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, requires
from typing import Any, Literal, cast

import pluggy

from robotrain import hookspecs
from robotrain.platforms import Platform
from robotrain.problem import Problem, Rejected, Stage
from robotrain.source import SourceKind
from robotrain.workload import Workload

GROUP = "robotrain"
FAMILIES = ("platform", "workload", "source", "command")

Mode = Literal["all", "none", "strict"]
"""Which plugins run: all; none but those robotrain itself comes with; all, and a failure is fatal."""


@dataclass(frozen=True)
class Claim:
    """A name that an installed distribution claims. family is empty for a site plugin."""

    family: str
    name: str
    point: EntryPoint

    @property
    def distribution(self) -> str:
        """`name version` of what brings it."""
        return f"{self.point.dist.name} {self.point.dist.version}" if self.point.dist else "an unknown distribution"

    def __str__(self) -> str:
        return " ".join(part for part in (self.family, self.name) if part)


@dataclass(frozen=True)
class Failure:
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
        self.failures: dict[str, Failure] = {}
        self._manager = pluggy.PluginManager("robotrain")
        self._manager.add_hookspecs(hookspecs)

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim, sorted by family and name; a broken plugin is among them."""
        points = entry_points(group=GROUP)
        built_in = _built_in() if self.mode == "none" else None
        found = (
            Claim(*_split(point.name), point)
            for point in points
            if built_in is None or (point.dist and _normal(point.dist.name) in built_in)
        )
        return tuple(sorted(found, key=lambda claim: (claim.family, claim.name, claim.distribution)))

    def names(self, family: str) -> list[str]:
        """The names claimed in a family, without importing any."""
        return sorted({claim.name for claim in self.claims if claim.family == family})

    def platform(self, name: str) -> Platform:
        """The platform `name`. Raises PluginError."""
        return cast(Platform, self._one("platform", name, self._manager.hook.robotrain_platforms))

    def workload(self, name: str) -> Workload:
        """The workload `name`. Raises PluginError."""
        return cast(Workload, self._one("workload", name, self._manager.hook.robotrain_workloads))

    def source_kinds(self) -> dict[str, SourceKind]:
        """Every kind that loads, by name, and those of the platforms loaded so far."""
        for claim in self._family("source"):
            self._load(claim)
        return {kind.name: kind for _, kind in self._brought(self._manager.hook.robotrain_source_kinds)}

    def platforms(self) -> dict[str, Platform]:
        """Every platform that loads, by name."""
        return self._every("platform", self.platform)

    def workloads(self) -> dict[str, Workload]:
        """Every workload that loads, by name."""
        return self._every("workload", self.workload)

    def command(self, name: str) -> Any:
        """The Typer app of a plugin command, None when nobody claims it. Raises PluginError when it is broken."""
        for claim in self._family("command", name):
            try:
                return claim.point.load()
            except (Exception, SystemExit) as cause:
                self._fail(claim, cause)
                raise PluginError(str(self.failures[str(claim)])) from cause
        return None

    def site_hooks(self) -> Any:
        """The hooks, with every site plugin loaded: for `robotrain_check` and `robotrain_run_changed`."""
        for claim in self._family(""):
            self._load(claim)
        return self._manager.hook

    def load_everything(self) -> None:
        """Load each claim, so that `failures` is complete."""
        self.source_kinds(), self.platforms(), self.workloads(), self.site_hooks()
        for name in self.names("command"):
            try:
                self.command(name)
            except PluginError:
                continue

    def _every(self, family: str, one: Callable[[str], Any]) -> dict[str, Any]:
        found = {}
        for name in self.names(family):
            try:
                found[name] = one(name)
            except PluginError:
                continue  # kept in `failures`
        return found

    def _one(self, family: str, name: str, hook: Any) -> Any:
        claims = self._family(family, name)
        if not claims:
            raise PluginError(
                f"no {family} {name!r} is installed; installed: {', '.join(self.names(family)) or 'none'}"
            )
        if len(claims) > 1:
            who = " and ".join(claim.distribution for claim in claims)
            self._fail(claims[0], LookupError(f"claimed by {who}; uninstall one"))
        elif self._load(claims[0]):
            for claim_name, thing in self._brought(hook):
                if claim_name == str(claims[0]) and thing.name == name:
                    return thing
            if str(claims[0]) not in self.failures:
                self._fail(claims[0], LookupError(f"{claims[0].point.value} claims it but brings none of that name"))
        raise PluginError(str(self.failures[str(claims[0])]))

    def _family(self, family: str, name: str = "") -> list[Claim]:
        return [claim for claim in self.claims if claim.family == family and name in ("", claim.name)]

    def _load(self, claim: Claim) -> bool:
        if self._manager.has_plugin(str(claim)):
            return True
        if str(claim) in self.failures:
            return False
        try:
            self._manager.register(claim.point.load(), name=str(claim))
        except (Exception, SystemExit) as cause:
            self._fail(claim, cause)
            return False
        return True

    def _brought(self, hook: Any) -> Iterator[tuple[str, Any]]:
        """What each loaded plugin returns from `hook`, beside its claim; one that raises is a failure, not the end."""
        for implementation in hook.get_hookimpls():
            try:
                things: Iterable[Any] = list(implementation.function())
            except Exception as cause:
                self._fail(next(claim for claim in self.claims if str(claim) == implementation.plugin_name), cause)
                continue
            yield from ((implementation.plugin_name, thing) for thing in things)

    def _fail(self, claim: Claim, cause: BaseException) -> None:
        self.failures[str(claim)] = Failure(claim, cause)
        if self.mode == "strict":
            raise PluginError(str(self.failures[str(claim)])) from cause


def _split(point_name: str) -> tuple[str, str]:
    family, dot, name = point_name.partition(".")
    return (family, name) if dot and family in FAMILIES else ("", point_name)


def _built_in() -> set[str]:
    """What the distribution `robotrain` itself requires, extras included."""
    try:
        return {_normal(re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]) for need in requires("robotrain") or ()}
    except PackageNotFoundError:
        return set()


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
