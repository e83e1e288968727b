"""The machine that a task asks for: as said, else as the jobs of its workload have it (contract E.1)."""

from dataclasses import dataclass, fields, replace

from robotrain_azure import usual

from robotrain_osmo.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """image: the container's. exec_timeout: how long it may run."""

    image: str
    cpu: int = 8
    memory: str = "48Gi"
    storage: str = "80Gi"
    exec_timeout: str = "12h"


def usually(workload: str) -> Machine:
    """Where nobody says otherwise."""
    image = usual.of(workload).image
    if workload == "lerobot-eval":
        return Machine(image=image, cpu=4, memory="32Gi", storage="40Gi", exec_timeout="2h")
    return Machine(image=image)


def of(workload: str, settings: Settings) -> Machine:
    """That of a job."""
    names = [one.name for one in fields(Machine)]
    said = {name: value for name in names if (value := getattr(settings, name)) is not None}
    return replace(usually(workload), **said)
