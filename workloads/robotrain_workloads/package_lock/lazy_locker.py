"""What locks the packages that a job adds, imported once there are any."""

from robotrain.model.workload import ProgramLocker


def load_locker() -> ProgramLocker:
    """Import what locks the packages that a job adds."""
    from robotrain_workloads.package_lock import package_locker  # costs start-up

    return package_locker
