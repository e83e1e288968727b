"""Importing plugins: each once, when a name it claims is asked for; a failure is kept and told again and again."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from robotrain import hookspecs
from robotrain.loading.failure import Failure, PluginError, failed
from robotrain.loading.ways import Unsuitable

if TYPE_CHECKING:
    from robotrain.claims import Claim

T = TypeVar("T")


class Loader:
    """The claims, which of them were loaded, and which failed. strict: a failure is raised, as PluginError."""

    def __init__(self, claims: Sequence[Claim], strict: bool) -> None:
        self.claims, self.strict = claims, strict
        self.failures: dict[Claim, Failure] = {}
        self.loaded: dict[Claim, Any] = {}
        self._brought: dict[Any, list[Any]] = {}
        self._manager = pluggy.PluginManager("robotrain")
        self._manager.add_hookspecs(hookspecs)

    def family(self, family: str, name: str = "") -> list[Claim]:
        """The claims of a family; with `name` those to it."""
        return [claim for claim in self.claims if claim.family == family and name in ("", claim.name)]

    def load(self, claim: Claim, asked_for: bool = False) -> bool:
        """Whether it is there now. asked_for: somebody named it, so it may take its time."""
        if claim in self.loaded or claim in self.failures:
            return claim in self.loaded
        try:
            self._must_be_free(claim)
            self.loaded[claim] = loaded = _imported(claim, asked_for)
            _must_suit(claim)
            self._take(claim, loaded)
        except KeyboardInterrupt:
            raise
        except BaseException as cause:  # SystemExit too, and what ends a task
            self.loaded.pop(claim, None)
            self.fail(claim, cause)
            return False
        return True

    def required(self, claims: Sequence[Claim]) -> Any:
        """What the first of them that loads loads to. Raises PluginError."""
        for claim in claims:
            if self.load(claim, asked_for=True):
                return self.loaded[claim]
        raise PluginError(self.failures[claims[0]], self.strict)

    def implementations(self, hook: str) -> list[tuple[Claim, Any]]:
        """A hook's implementations in what is loaded, each beside the first claim of its module."""
        return [(self.owners(one)[0], one) for one in getattr(self._manager.hook, hook).get_hookimpls()]

    def brought(self, hook: str, shape: Callable[[Any, Claim], Any]) -> Iterator[tuple[list[Claim], Any]]:
        """What each loaded plugin returns from `hook`, beside the claims of its module; robotrain's own first. One that
        raises is a failure, not the end.

        shape: makes of a thing what core takes. Raises TypeError for what is none.
        """
        for claim, implementation in sorted(self.implementations(hook), key=lambda one: not one[0].own):
            if claim in self.failures and self.failures[claim].hook == hook:
                continue
            if implementation not in self._brought:
                try:
                    bring = functools.partial(_shaped, implementation.function, shape, claim)
                    self._brought[implementation] = in_time(claim, bring, hook)
                except KeyboardInterrupt:
                    raise
                except BaseException as cause:
                    self.fail(claim, cause, hook)
                    continue
            owners = self.owners(implementation)
            yield from ((owners, thing) for thing in self._brought[implementation])

    def owners(self, implementation: Any) -> list[Claim]:
        """The claims whose module an implementation is in."""
        return [claim for claim, loaded in self.loaded.items() if loaded is implementation.plugin]

    def hooks(self, claim: Claim) -> list[str]:
        """The names of the hooks that a loaded claim's module has; none of a command."""
        if claim not in self.loaded or claim.family == "command":
            return []
        return sorted(caller.name for caller in self._manager.get_hookcallers(self.loaded[claim]) or ())

    def failed(self, claim: Claim, cause: BaseException, hook: str) -> Failure:
        """Keep what a hook failed with."""
        self.failures[claim] = failure = failed(claim, cause, hook)
        return failure

    def fail(self, claim: Claim, cause: BaseException, hook: str = "") -> None:
        """The same, and strictly the end."""
        failure = self.failed(claim, cause, hook)
        if self.strict:
            raise PluginError(failure, strict=True) from cause

    def _take(self, claim: Claim, loaded: Any) -> None:
        if claim.family == "command":
            from robotrain.loading.plugin_command import must_be_one

            must_be_one(loaded, claim)
        elif not self._manager.is_registered(loaded):
            self._register(loaded)  # once, however many names the module claims

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
        """Of several claims to one name, only that of robotrain itself is taken. Raises Unsuitable for the others."""
        rivals = self.family(claim.family, claim.name)
        if len(rivals) > 1 and not claim.own:
            from robotrain.loading.ways import without

            who = " and ".join(rival.distribution for rival in rivals)
            others = [without(one) for one in rivals if one.project != claim.project and not one.own]
            raise Unsuitable(f"claimed by {who}; uninstall one", *others)


def in_time(claim: Claim, work: Callable[[], T], what: str, setting: str = "") -> T:
    """What a plugin's code returns. That of strangers has a time limit, as of `limited.alone`, and prints to stderr."""
    if claim.own:
        return work()
    from robotrain import limited

    return limited.alone(work, f"{what} of {claim} ({claim.distribution})", setting or limited.NAME)


def _imported(claim: Claim, asked_for: bool) -> Any:
    if claim.own:
        return claim.point.load()
    from robotrain import limited

    return in_time(claim, claim.point.load, "loading", limited.ASKED_FOR if asked_for else limited.NAME)


def _must_suit(claim: Claim) -> None:
    """Raises Unsuitable; what robotrain comes with moves in lock step."""
    if not claim.own:
        from robotrain.loading import api_version

        api_version.must_suit(claim)


def _shaped(function: Callable[[], Any], shape: Callable[[Any, Claim], Any], claim: Claim) -> list[Any]:
    return [shape(thing, claim) for thing in list(function())]
