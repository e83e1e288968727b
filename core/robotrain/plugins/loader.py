"""Loading of plugins: each once, when a name it claims is needed; failures are recorded.

Declarations of third parties are validated first, so that they cannot fail in other work; built-in ones are trusted.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from robotrain.model.platform import Platform
from robotrain.plugins import calls, hookspecs
from robotrain.plugins.failures import (
    PluginError,
    PluginFailure,
    UnsuitablePlugin,
    make_failure,
    suggest_exclusion,
)
from robotrain.plugins.guards import GuardedPlatform, guard_source_kind, guard_workload, require_type

if TYPE_CHECKING:
    from robotrain.plugins.claims import Claim


def accept_platform(thing: Any, claim: Claim) -> Any:
    """Return a platform whose methods are guarded. Raise TypeError, ValueError or UnsuitablePlugin."""
    require_type(thing, Platform, "a robotrain.plugin.Platform")
    found = GuardedPlatform(thing, claim)
    if not claim.built_in:
        from robotrain.plugins.declarations import validate_platform

        validate_platform(found)  # type: ignore[arg-type]  # it has a platform's attributes
    return found


def accept_source_kind(thing: Any, claim: Claim) -> Any:
    """Return a source kind; a third party's functions are guarded. Raise TypeError or ValueError."""
    if claim.built_in:
        return thing
    from robotrain.model.source import SourceKind
    from robotrain.plugins.declarations import validate_source_kind

    validate_source_kind(require_type(thing, SourceKind, "a robotrain.plugin.SourceKind"))
    return guard_source_kind(thing, claim)


def accept_workload(thing: Any, claim: Claim) -> Any:
    """Return a workload; a third party's rules are guarded. Raise TypeError, ValueError or UnsuitablePlugin."""
    if claim.built_in:
        return thing
    from robotrain.model.workload import Workload
    from robotrain.plugins.declarations import validate_workload

    validate_workload(require_type(thing, Workload, "a robotrain.plugin.Workload"))
    return guard_workload(thing, claim)


def accept_health_check(thing: Any, claim: Claim) -> Any:
    """Return a health check. Raise TypeError for anything else."""
    from robotrain.model.health import HealthCheck

    if not isinstance(thing, HealthCheck):
        raise TypeError("robotrain_health answers with robotrain.plugin.HealthCheck objects")
    return thing


PROVIDERS: Mapping[str, tuple[str, Callable[[Any, Claim], Any]]] = {
    "platform": ("robotrain_platforms", accept_platform),
    "source": ("robotrain_source_kinds", accept_source_kind),
    "workload": ("robotrain_workloads", accept_workload),
    "health": ("robotrain_health", accept_health_check),
}
"""The hook that provides a family, and what accepts each thing."""


def require_command(loaded: Any, claim: Claim) -> None:
    """Raise UnsuitablePlugin for what is not a Typer app, or has a name of robotrain's."""
    import typer

    from robotrain.command_table import COMMANDS

    if not isinstance(loaded, typer.Typer):
        raise UnsuitablePlugin(f"{claim.point.value} is a {type(loaded).__name__}; expected a typer.Typer")
    if claim.name in COMMANDS:
        raise UnsuitablePlugin(f"robotrain itself has a command {claim.name}")


T = TypeVar("T")


class _HookManager(pluggy.PluginManager):
    """Reads a module's marked functions only: pluggy inspects every name, which costs each start 3 %."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        if isinstance(plugin, types.ModuleType) and not hasattr(vars(plugin).get(name), "robotrain_impl"):
            return None
        return super().parse_hookimpl_opts(plugin, name)


class PluginLoader:
    """The claims, which of them are loaded, and which failed; if strict, a failure is raised as PluginError."""

    def __init__(self, claims: Sequence[Claim], strict: bool) -> None:
        self.claims, self.strict = claims, strict
        self.failures: dict[Claim, PluginFailure] = {}
        self.loaded: dict[Claim, Any] = {}
        self._hook_results: dict[Any, list[Any]] = {}
        self._manager = _HookManager("robotrain")
        self._manager.add_hookspecs(hookspecs)

    def list_claims(self, family: str, name: str = "") -> list[Claim]:
        """Return the claims of a family; with `name` only those to it."""
        return [claim for claim in self.claims if claim.family == family and name in ("", claim.name)]

    def load_claim(self, claim: Claim, requested: bool = False) -> bool:
        """Load a claim and return whether it is loaded; one requested by name has the long time limit."""
        if claim in self.loaded or claim in self.failures:
            return claim in self.loaded
        try:
            self._require_unique_name(claim)
            limit = calls.PLUGIN_SECONDS_VARIABLE if requested else calls.HOOK_SECONDS_VARIABLE
            self.loaded[claim] = loaded = call_in_time(claim, claim.point.load, "loading", limit)
            if not claim.built_in:
                hookspecs.require_supported_api(claim)
            self._add_plugin(claim, loaded)
        except KeyboardInterrupt:
            raise
        except BaseException as cause:  # SystemExit too, and what ends a task
            self.loaded.pop(claim, None)
            self.record_or_raise(claim, cause)
            return False
        return True

    def load_first(self, claims: Sequence[Claim]) -> Any:
        """Return what the first claim that loads loads to. Raise PluginError."""
        for claim in claims:
            if self.load_claim(claim, requested=True):
                return self.loaded[claim]
        raise PluginError(self.failures[claims[0]], self.strict)

    def list_implementations(self, hook: str) -> list[tuple[Claim, Any]]:
        """Return a hook's loaded implementations, each with the first claim of its module."""
        return [(self.list_owners(one)[0], one) for one in getattr(self._manager.hook, hook).get_hookimpls()]

    def list_provided(self, family: str) -> Iterator[tuple[list[Claim], Any]]:
        """Yield what each loaded plugin provides, with the claims of its module; built-in ones first."""
        hook, accept = PROVIDERS[family]
        for claim, implementation in sorted(self.list_implementations(hook), key=lambda one: not one[0].built_in):
            if claim in self.failures and self.failures[claim].hook == hook:
                continue
            if implementation not in self._hook_results:
                try:
                    call = functools.partial(_call_and_accept, implementation.function, accept, claim)
                    self._hook_results[implementation] = call_in_time(claim, call, hook)
                except KeyboardInterrupt:
                    raise
                except BaseException as cause:
                    self.record_or_raise(claim, cause, hook)
                    continue
            owners = self.list_owners(implementation)
            yield from ((owners, thing) for thing in self._hook_results[implementation])

    def list_owners(self, implementation: Any) -> list[Claim]:
        """Return the claims of the module that an implementation is in."""
        return [claim for claim, loaded in self.loaded.items() if loaded is implementation.plugin]

    def list_hooks(self, claim: Claim) -> list[str]:
        """Return the names of the hooks in a loaded claim's module; none of a command."""
        if claim not in self.loaded or claim.family == "command":
            return []
        return sorted(caller.name for caller in self._manager.get_hookcallers(self.loaded[claim]) or ())

    def record_failure(self, claim: Claim, cause: BaseException, hook: str) -> PluginFailure:
        """Record what a hook failed with."""
        self.failures[claim] = failure = make_failure(claim, cause, hook)
        return failure

    def record_or_raise(self, claim: Claim, cause: BaseException, hook: str = "") -> None:
        """Record a failure; in strict mode raise it as PluginError."""
        failure = self.record_failure(claim, cause, hook)
        if self.strict:
            raise PluginError(failure, strict=True) from cause

    def _add_plugin(self, claim: Claim, loaded: Any) -> None:
        if claim.family == "command":
            require_command(loaded, claim)
        elif not self._manager.is_registered(loaded):
            self._register_hooks(loaded)  # once, however many names the module claims

    def _register_hooks(self, module: Any) -> None:
        """Register a module's hooks, all or none. Raise pluggy.PluginValidationError, also for a misspelled one."""
        try:
            self._manager.register(module)
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            if self._manager.is_registered(module):
                self._manager.unregister(module)
            raise

    def _require_unique_name(self, claim: Claim) -> None:
        """Raise UnsuitablePlugin if several plugins claim a name, except for the built-in one."""
        rivals = self.list_claims(claim.family, claim.name)
        if len(rivals) > 1 and not claim.built_in:
            who = " and ".join(rival.distribution for rival in rivals)
            others = [suggest_exclusion(one) for one in rivals if one.project != claim.project and not one.built_in]
            raise UnsuitablePlugin(f"claimed by {who}; uninstall one", *others)


def call_in_time(claim: Claim, work: Callable[[], T], what: str, setting: str = calls.HOOK_SECONDS_VARIABLE) -> T:
    """Return what a plugin's code returns; a third party's has a time limit, and prints to stderr."""
    if claim.built_in:
        return work()
    return calls.call_with_timeout(work, f"{what} of {claim} ({claim.distribution})", setting)


def _call_and_accept(function: Callable[[], Any], accept: Callable[[Any, Claim], Any], claim: Claim) -> list[Any]:
    return [accept(thing, claim) for thing in list(function())]
