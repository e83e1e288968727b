"""What a plugin's hooks bring, as core takes it: a platform, a source kind or a workload that can be relied on.

What robotrain itself comes with is what its tests say; a stranger's is looked at first, so that nothing of it fails in
another's work.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from robotrain.loading.guard import suitable
from robotrain.loading.platform_guard import GuardedPlatform

if TYPE_CHECKING:
    from robotrain.claims import Claim


def platform(thing: Any, claim: Claim) -> Any:
    """A platform whose methods are guarded. Raises TypeError, ValueError, AttributeError and Unsuitable."""
    found = GuardedPlatform(thing, claim)
    if not claim.own:
        from robotrain.capabilities import Capabilities
        from robotrain.loading.declared import capabilities_hold, must_be
        from robotrain.loading.declared_values import values_hold

        must_be("name", found.name, str, "a text")
        must_be("summary", found.summary, str, "a text")
        must_be("capabilities", found.capabilities, Capabilities, "a robotrain.capabilities.Capabilities")
        capabilities_hold(found.capabilities)
        must_be("declined", found.declined, Mapping, "a mapping of flags to what is said of them")
        values_hold("settings", found.settings)
    return found


def source_kind(thing: Any, claim: Claim) -> Any:
    """A source kind; a stranger's functions are guarded. Raises TypeError and ValueError."""
    if claim.own:
        return thing
    from robotrain.loading.declared import answers_hold, flag_holds, must_be
    from robotrain.loading.kind_guard import guarded
    from robotrain.source import RoleFlag, SourceKind

    suitable(thing, SourceKind, "a robotrain.source.SourceKind")
    must_be("name", thing.name, str, "a text")
    must_be("roles", thing.roles, Mapping, "a mapping of roles to flags")
    for role, flag in thing.roles.items():
        must_be(f"roles[{role!r}]", flag, RoleFlag, "a robotrain.source.RoleFlag")
        flag_holds(role, flag)
    must_be("unsupported", thing.unsupported, Mapping, "a mapping of roles to answers")
    answers_hold("unsupported", thing.unsupported)
    return guarded(thing, claim)


def workload(thing: Any, claim: Claim) -> Any:
    """A workload; a stranger's rules are guarded. Raises TypeError, ValueError and Unsuitable."""
    if claim.own:
        return thing
    from robotrain.loading.declared import must_be, names_hold, one_of
    from robotrain.loading.declared_values import values_hold
    from robotrain.loading.kind_guard import guarded_workload
    from robotrain.workload import Makes, Profile, Role, Workload

    suitable(thing, Workload, "a robotrain.workload.Workload")
    must_be("name", thing.name, str, "a text")
    must_be("roles", thing.roles, Mapping, "a mapping of names to roles")
    names_hold("roles", thing.roles)
    for name, role in thing.roles.items():
        must_be(f"roles[{name!r}]", role, Role, "a robotrain.workload.Role")
    one_of("makes", thing.makes, get_args(Makes))
    must_be("option_hints", thing.option_hints, Mapping, "a mapping of flags to what is said of them")
    must_be("profile", thing.profile, Profile, "a robotrain.workload.Profile")
    values_hold("parameters", thing.parameters)
    return guarded_workload(thing, claim)


def health_check(thing: Any, claim: Claim) -> Any:
    """Something that `robotrain doctor` looks at. Raises TypeError."""
    from robotrain.health import HealthCheck

    if not isinstance(thing, HealthCheck):
        raise TypeError("robotrain_health answers with robotrain.health.HealthCheck objects")
    return thing
