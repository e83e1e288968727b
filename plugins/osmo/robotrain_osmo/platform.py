"""The platform `osmo`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_osmo.capabilities import CAPABILITIES
from robotrain_osmo.settings import OsmoSettings

OSMO = Platform(
    name="osmo",
    summary="NVIDIA OSMO, as a workflow in a pool",
    engine_class="robotrain_osmo.engine:OsmoEngine",
    plans_class="robotrain_osmo.plans:OsmoPlans",
    settings=OsmoSettings,
    capabilities=CAPABILITIES,
    cancel_command="osmo workflow cancel {workflow} --force",
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (OSMO,)
