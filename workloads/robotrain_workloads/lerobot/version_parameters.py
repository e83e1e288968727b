"""Parameters whose choices are what the versions of LeRobot here have; for the submit side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.lerobot import versions

if TYPE_CHECKING:
    from robotrain.model.job import Job

    VersionName: TypeAlias = str
    PolicyType: TypeAlias = str
    RewardModelType: TypeAlias = str
else:  # the data of versions says which there are
    VersionName = Literal[tuple(one.name for one in versions.list_versions())]
    PolicyType = Literal[versions.list_type_names(versions.POLICIES)]
    RewardModelType = Literal[versions.list_type_names(versions.REWARD_MODELS)]
LeRobotVersion = Annotated[VersionName, Param(help="the version of LeRobot to run with", env=("LEROBOT_VERSION",))]


def list_type_notes(section: str) -> tuple[tuple[str, str], ...]:
    """Return each type of `policies` or `reward_models` with what it needs, as the newest version that has it says."""
    found: dict[str, str] = {}
    for version in versions.list_versions():
        types = version.get_types(section)
        for name, described in types.items():
            found.setdefault(name, "; ".join(_describe_needs(described)))
    return tuple(sorted(found.items()))


def _describe_needs(described: versions.ModelType) -> Iterator[str]:
    if described.refused:
        yield f"not trained: {described.refused}"
        return
    least, most = described.cameras or (0, None)
    if most is not None:
        yield f"{'exactly' if least == most else 'at most'} {most} camera{'s' * (most > 1)}"
    elif least:
        instead = ", or an environment state" if described.environment_state else ""
        yield f"{least} camera{'s' * (least > 1)} or more{instead}"
    if described.reads_reward:
        yield "rewards in the data (next.reward)"
    if described.reads_task:
        yield "task texts"
    if described.repositories:
        yield f"reads {', '.join(described.repositories)}"
    if code := [name for name, one in described.repositories.items() if one.code == "runs" and not one.only_if]:
        yield f"runs code of {', '.join(code)}"


OTHER_SPELLINGS = (("gr00t", "groot"), ("pi0.5", "pi05"), ("pi0-fast", "pi0_fast"), ("pi0fast", "pi0_fast"))
"""Names of types as their authors write them."""


def list_other_types(section: str, flag: str) -> tuple[tuple[str, str], ...]:
    """Return the types of the other section, each with the line that trains it. `flag`: that of the other section."""
    own = versions.list_type_names(section)
    other = versions.REWARD_MODELS if section == versions.POLICIES else versions.POLICIES
    others = tuple((name, f"{flag} {name}") for name in versions.list_type_names(other) if name not in own)
    return (*others, *((spelling, name) for spelling, name in OTHER_SPELLINGS if name in own))


DEFAULT_LEROBOT_VERSION = versions.get_version().name


def list_data_packages(job: "Job", lock: str = "train") -> dict[str, str]:
    """Return the data of the job's LeRobot, for its payload. `lock`: that of its environment."""
    return {"lerobot": versions.get_data_package(versions.get_version(job["lerobot_version"]), lock)}
