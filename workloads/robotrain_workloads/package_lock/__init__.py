"""The lock of the packages that a job installs: made on the submit side, never sent."""

from robotrain.model.workload import ProgramLocker


def load_locker() -> ProgramLocker:
    """Import what locks the packages that a job adds."""
    from robotrain_workloads.package_lock import package_locker  # costs start-up

    return package_locker
