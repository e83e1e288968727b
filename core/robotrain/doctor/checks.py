"""Which checks are done: robotrain's own, then what plugins bring."""

from functools import partial
from typing import TYPE_CHECKING

from robotrain.doctor import cached, clock, installed, leftovers, places, records, settings, shell
from robotrain.doctor.examine import Looked
from robotrain.health import HealthCheck

if TYPE_CHECKING:
    from robotrain.plugins import Plugins

HERE = "runs_here"
"""The feature of a platform that does the work on this very machine."""


def every(plugins: "Plugins", platform: str, online: bool) -> list[Looked]:
    """All that matter, with `platform` for that one alone."""
    brought = plugins.health(platform)
    here = _runs_here(plugins, platform)
    found = [Looked(check=check, by="") for check in _own(plugins, platform)]
    for claim, check in brought:
        if (online or not check.online) and (here or not check.here):
            found.append(Looked(check=check, by=claim.distribution, named=bool(platform)))
    return found


def _own(plugins: "Plugins", platform: str) -> list[HealthCheck]:
    return [
        HealthCheck(name="robotrain", look=installed.parts),
        HealthCheck(name="plugins", look=partial(installed.plugins, plugins, platform)),
        HealthCheck(name="state folder", look=places.state),
        HealthCheck(name="records", look=records.records),
        HealthCheck(name="leftovers", look=leftovers.leftovers),
        HealthCheck(name="cache folder", look=places.cache),
        HealthCheck(name="cache", look=cached.cached),
        HealthCheck(name="settings files", look=settings.settings),
        HealthCheck(name="clock", look=clock.clock),
        HealthCheck(name="completion", look=shell.completion),
    ]


def _runs_here(plugins: "Plugins", platform: str) -> bool:
    """Whether the chosen platform, or without one any of them, does the work on this machine."""
    every = plugins.platforms().items()
    return any(one.capabilities.feature(HERE) for name, one in every if platform in ("", name))
