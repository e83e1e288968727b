"""The machine that a task asks for: as said, else as the job's workload declares it (contract E.1)."""

from dataclasses import dataclass, fields, replace

from robotrain.workload import Profile

from robotrain_osmo.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """image: the container's. exec_timeout: how long it may run."""

    image: str
    cpu: int
    memory: str
    storage: str
    exec_timeout: str


def usually(profile: Profile) -> Machine:
    """Where nobody says otherwise."""
    wanted = profile.resources
    return Machine(
        image=profile.container.image,
        cpu=wanted.cpu,
        memory=wanted.memory,
        storage=wanted.storage,
        exec_timeout=wanted.time_limit,
    )


def of(profile: Profile, settings: Settings) -> Machine:
    """That of a job. profile: what its workload declares."""
    names = [one.name for one in fields(Machine)]
    said = {name: value for name in names if (value := getattr(settings, name)) is not None}
    return replace(usually(profile), **said)
