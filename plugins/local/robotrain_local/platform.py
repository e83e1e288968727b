"""The platform `local`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_local.capabilities import CAPABILITIES
from robotrain_local.settings import LocalSettings

LOCAL = Platform(
    name="local",
    summary="this machine, as a background process",
    engine_class="robotrain_local.engine:LocalEngine",
    plans_class="robotrain_local.plans:LocalPlans",
    settings=LocalSettings,
    capabilities=CAPABILITIES,
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (LOCAL,)
