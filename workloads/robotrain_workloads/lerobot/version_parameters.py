"""Parameters whose choices are what the versions of LeRobot here have; for the submit side."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.lerobot import versions

if TYPE_CHECKING:
    from robotrain.model.job import Job

    VersionName: TypeAlias = str
    PolicyType: TypeAlias = str
    RewardModelType: TypeAlias = str
else:  # the data of versions says which there are
    VersionName = Literal[tuple(version.name for version in versions.list_versions())]
    PolicyType = Literal[versions.list_type_names(versions.POLICIES)]
    RewardModelType = Literal[versions.list_type_names(versions.REWARD_MODELS)]
LeRobotVersion = Annotated[VersionName, Param(help="the version of LeRobot to run with", env=("LEROBOT_VERSION",))]


OTHER_SPELLINGS = (("gr00t", "groot"), ("pi0.5", "pi05"), ("pi0-fast", "pi0_fast"), ("pi0fast", "pi0_fast"))
"""Names of types as their authors write them."""


def list_other_types(section: str, flag: str) -> tuple[tuple[str, str], ...]:
    """Return the types of the other section, each with the line that trains it. `flag`: that of the other section."""
    type_names = versions.list_type_names(section)
    other_section = versions.REWARD_MODELS if section == versions.POLICIES else versions.POLICIES
    other_types = tuple(
        (name, f"{flag} {name}") for name in versions.list_type_names(other_section) if name not in type_names
    )
    return (*other_types, *((spelling, name) for spelling, name in OTHER_SPELLINGS if name in type_names))


DEFAULT_LEROBOT_VERSION = versions.get_version().name


def list_data_packages(job: "Job", lock: str = "train") -> dict[str, str]:
    """Return the data of the job's LeRobot, for its payload. `lock`: that of its environment."""
    return {"lerobot": versions.get_data_package(versions.get_version(job["lerobot_version"]), lock)}
