"""Warnings about plugins that load but look wrong, shown by `robotrain plugins`."""

from collections.abc import Iterator

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.model.capabilities import FEATURES, LIMITS
from robotrain.model.platform import Platform, has_own_method
from robotrain.model.support import ANY, YES
from robotrain.nearest_name import find_nearest_name
from robotrain.plugins.discovery import Claim
from robotrain.plugins.manager import Plugins

REQUIRED_METHODS = ("render", "submit", "find", "status", "logs", "cancel", "outputs", "download", "register")


def find_plugin_warnings(plugins: Plugins) -> dict[Claim, list[str]]:
    """Return warnings by claim, without full stops, once everything is loaded."""
    found: dict[Claim, list[str]] = {}

    def warn(claim: Claim, text: str) -> None:
        found.setdefault(claim, []).append(text)

    kinds, platforms = plugins.source_kinds(), plugins.platforms()
    for family in ("platform", "workload", "source"):
        for owners, declared in plugins.list_provided(family):
            is_used = family == "source" and kinds.get(declared.name) is declared
            if not is_used and not any((owner.family, owner.name) == (family, declared.name) for owner in owners):
                claimed = f"{family}.{declared.name}"
                warn(owners[0], f'it brings {family} {declared.name} and does not claim it: "{claimed}"')
    for name, platform in platforms.items():
        claim = next(one for one in plugins.list_claims("platform", name) if one in plugins.loaded)
        for (role, kind), support in platform.capabilities.sources.items():
            if support and kind != ANY and kind not in kinds:
                warn(claim, f"it says yes to {role} from {kind}, and nothing installed brings that kind")
        for text in _check_names(platform):
            warn(claim, text)
    known = {*FEATURES, *(name for one in platforms.values() for name in one.capabilities.features)}
    for owners, workload in plugins.list_provided("workload"):
        for one in get_parameters(workload.parameters):
            if (feature := one.param.requires) and feature not in known:
                meant = f"; there is {near}" if (near := find_nearest_name(feature, known)) else ""
                warn(owners[0], f"its parameter {one.name} needs the feature {feature}, which no platform has{meant}")
    return found


def _check_names(platform: Platform) -> Iterator[str]:
    """Yield a warning for required methods that are missing, and for names that are probably misspelled."""
    can = platform.capabilities
    optional = {"cancel": can.features.get("cancel", YES), "register": can.feature("register_model")}
    due = [one for one in REQUIRED_METHODS if optional.get(one, YES)]
    if missing := [one for one in due if not has_own_method(platform, one)]:
        yield f"it has no method {', '.join(missing)}, and fails where that is needed"
    for word, known, declared in (("feature", FEATURES, can.features), ("limit", LIMITS, can.limits)):
        for one in declared:
            if one not in known and (meant := find_nearest_name(one, known)):
                yield f"it declares the {word} {one}, which robotrain has not; it has {meant}"
