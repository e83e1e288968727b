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


DEFAULT_LEROBOT_VERSION = versions.get_version().name


def list_data_packages(job: "Job", lock: str = "train") -> dict[str, str]:
    """Return the data of the job's LeRobot, for its payload. `lock`: that of its environment."""
    return {"lerobot": versions.get_data_package(versions.get_version(job["lerobot_version"]), lock)}
