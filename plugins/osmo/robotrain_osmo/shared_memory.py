"""Without shared memory the processes that load data have nothing to hand it over in: 64 MiB is what a pod has."""

from collections.abc import Mapping

from robotrain.platforms import Default

from robotrain_osmo.settings import Settings

FOLDER = "/dev/shm"
MOUNT = "mount"


def defaults(settings: Settings) -> Mapping[str, Default]:
    """What a workload does when nobody says otherwise."""
    return {} if settings.shared_memory == MOUNT else {"num_workers": Default("0", "no shared memory")}
