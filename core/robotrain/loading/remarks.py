"""What is odd about plugins that load: what they bring without a claim, what they lack, and what nobody knows of."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from robotrain_runtime.parameter import parameters_of

from robotrain.capabilities import ANY, FEATURES, LIMITS
from robotrain.loading import api_version
from robotrain.loading.platform_guard import has
from robotrain.nearest import nearest

if TYPE_CHECKING:
    from robotrain.claims import Claim
    from robotrain.loading.loader import Loader
    from robotrain.platforms import Platform
    from robotrain.source import SourceKind

DUE = ("check", "render", "preflight", "submit", "find", "status", "logs", "cancel", "outputs", "bring", "register")


def of(loader: Loader, kinds: Mapping[str, SourceKind], platforms: Mapping[str, Platform]) -> dict[Claim, list[str]]:
    """A sentence each, without its full stop, by the claim it is about."""
    found: dict[Claim, list[str]] = {}
    about = (
        *_outdated(loader),
        *_unclaimed(loader, kinds),
        *_unheard_of(loader, kinds, platforms),
        *_needing(loader, platforms),
    )
    for claim, text in (*about, *_lacking(loader, platforms), *_misspelt(loader, platforms)):
        found.setdefault(claim, []).append(text)
    return found


def _outdated(loader: Loader) -> Iterator[tuple[Claim, str]]:
    yield from ((claim, text) for claim in loader.loaded if (text := api_version.outdated(claim)))


def _unclaimed(loader: Loader, kinds: Mapping[str, SourceKind]) -> Iterator[tuple[Claim, str]]:
    for family in ("platform", "workload", "source"):
        for owners, thing in loader.brought(f"robotrain_{family}{'_kind' * (family == 'source')}s", _as_it_is):
            claimed = any((owner.family, owner.name) == (family, thing.name) for owner in owners)
            taken = family == "source" and kinds.get(thing.name) is thing
            if not claimed and not taken:
                yield owners[0], f'it brings {family} {thing.name} and does not claim it: "{family}.{thing.name}"'


def _unheard_of(
    loader: Loader, kinds: Mapping[str, SourceKind], platforms: Mapping[str, Platform]
) -> Iterator[tuple[Claim, str]]:
    for name, platform in platforms.items():
        for (role, kind), support in platform.capabilities.sources.items():
            if support and kind != ANY and kind not in kinds:
                yield (
                    _loaded(loader, name),
                    f"it says yes to {role} from {kind}, and nothing installed brings that kind",
                )


def _needing(loader: Loader, platforms: Mapping[str, Platform]) -> Iterator[tuple[Claim, str]]:
    """Parameters that no platform takes, as nobody knows the feature that they need."""
    known = {*FEATURES, *(name for one in platforms.values() for name in one.capabilities.features)}
    for owners, workload in loader.brought("robotrain_workloads", _as_it_is):
        for one in parameters_of(workload.parameters):
            if (feature := one.param.requires) and feature not in known:
                meant = f"; there is {near}" if (near := nearest(feature, known)) else ""
                yield owners[0], f"its parameter {one.name} needs the feature {feature}, which no platform has{meant}"


def _lacking(loader: Loader, platforms: Mapping[str, Platform]) -> Iterator[tuple[Claim, str]]:
    for name, platform in platforms.items():
        claim = _loaded(loader, name)
        registers = platform.capabilities.feature("register_model")
        due = DUE if registers else DUE[:-1]
        if not claim.own and (missing := [one for one in due if not has(platform, one)]):
            yield claim, f"it has no method {', '.join(missing)}, and fails where that is needed"


def _misspelt(loader: Loader, platforms: Mapping[str, Platform]) -> Iterator[tuple[Claim, str]]:
    for name, platform in platforms.items():
        can = platform.capabilities
        for word, known, what in (("feature", FEATURES, can.features), ("limit", LIMITS, can.limits)):
            for one in what:
                if one not in known and (meant := nearest(one, known)):
                    yield (
                        _loaded(loader, name),
                        f"it declares the {word} {one}, which robotrain has not; it has {meant}",
                    )


def _loaded(loader: Loader, platform: str) -> Claim:
    return next(one for one in loader.family("platform", platform) if one in loader.loaded)


def _as_it_is(thing: Any, claim: Claim) -> Any:
    return thing
