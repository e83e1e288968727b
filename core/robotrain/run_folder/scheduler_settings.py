"""Settings that schedulers share, with what the workload needs in place of those that are not set."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from robotrain_runtime.contract.parameter import Param

from robotrain.model.platform import PlatformDefault
from robotrain.run_folder.settings import make_settings_absolute

if TYPE_CHECKING:
    from robotrain.model.job import Job

TIME_FORMS: Sequence[str] = (
    r"(?:(\d{1,4})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s)?",
    r"()(?:(\d{1,6}):)?(\d{1,8}):(\d{1,2})",
)
"""Forms of a time with the groups days, hours, minutes, seconds: `1d12h`, `4:00:00`."""
MEMORY_FORM = r"(\d{1,9}(?:\.\d{1,3})?)([KMGT])(?:i?B|i)?"
_MEMORY_UNITS = {"K": 2**-10, "M": 1, "G": 2**10, "T": 2**20}
SECONDS_OF_PARTS = (86400, 3600, 60, 1)


@dataclass(frozen=True, kw_only=True)
class SchedulerResources:
    """What a job asks a scheduler for."""

    time: Annotated[
        str | None,
        Param(
            help="time limit: 4h, or 4:00:00 (default: the workload's)",
            common=True,
            metavar="TIME",
            pattern=rf"^(?:{'|'.join(TIME_FORMS)})$",
            pattern_help="4h, 90m or 4:00:00",
        ),
    ] = None
    cpus: Annotated[int | None, Param(help="CPU cores of each node (default: the workload's)", ge=1)] = None
    gpus: Annotated[int | None, Param(help="GPUs of each node (default: as many as the job trains on)", ge=0)] = None
    memory: Annotated[
        str | None,
        Param(
            help="memory of each node, such as 48G (default: the workload's)",
            metavar="SIZE",
            pattern=f"^{MEMORY_FORM}$",
            pattern_help="48G or 500M",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SchedulerFolders:
    """Where the runs of a scheduler work whose nodes share a disk, and what they find there.

    Relative paths become absolute here: a record must not depend on a folder.
    """

    runs_dir: Annotated[
        str, Param(help="folder of run folders, which every node sees under the same path", metavar="FOLDER", path=True)
    ] = "~/robotrain-runs"
    cache_dir: Annotated[
        str, Param(help="folder of cached data and environments, which every node sees", metavar="FOLDER", path=True)
    ] = "~/.cache/robotrain"
    environment: Annotated[
        str | None,
        Param(
            help="use this Python environment, which every node sees, instead of building the locked one",
            metavar="PATH",
            path=True,
            names="program",
        ),
    ] = None
    torch_backend: Annotated[
        str | None,
        Param(
            help="build of PyTorch to install instead of the locked one, at the same version: cpu, cu126, rocm6.4, "
            "xpu, or auto (chosen by the node's driver)",
            metavar="BUILD",
        ),
    ] = None
    # No `env`: an MLFLOW_TRACKING_URI that was set for another project must not redirect runs.
    tracking_uri: Annotated[
        str | None,
        Param(
            help="MLflow tracking URI that nodes reach (default and none: no tracking; MLFLOW_TRACKING_URI is ignored)",
            metavar="URI",
            destination=True,
            takes_none=True,
        ),
    ] = None
    blob_credential_file: Annotated[
        str | None,
        Param(
            help="file with an account key, SAS or token for blobs, which every node sees",
            metavar="FILE",
            path=True,
            names="file",
        ),
    ] = None
    hub_token_file: Annotated[
        str | None,
        Param(
            help="file with a Hugging Face token, which every node sees",
            metavar="FILE",
            path=True,
            names="file",
        ),
    ] = None
    secrets: Annotated[
        str | None,
        Param(
            help="environment variable of the program, and a file that holds its value, that only you may read and "
            "that every node sees: /PATH or ~/PATH",
            flag="--secret",
            metavar="NAME=FILE",
            form="pairs",
            names="secret",
        ),
    ] = None
    cache_gib: Annotated[
        float | None,
        Param(help="maximum size of cached data; the least recently used is removed first (default: no limit)", gt=0),
    ] = None
    download_mib: Annotated[int, Param(help="memory for downloads, in MiB", ge=16)] = 256

    def __post_init__(self) -> None:
        make_settings_absolute(self)


@dataclass(frozen=True, kw_only=True)
class SchedulerSettings(SchedulerFolders, SchedulerResources):
    """Settings for a scheduler; a platform adds its own in a frozen dataclass that inherits."""


Settings = TypeVar("Settings", bound=Any)


def list_needed_resources(job: "Job") -> Mapping[str, Any]:
    """Return what a job needs where its settings do not say it: the values of `time`, `gpus`, `cpus` and `memory`."""
    resources = job.profile.resources
    return {
        "time": resources.time_limit,
        "gpus": job.used_gpus,
        "cpus": resources.cpu,
        "memory": resources.memory,
    }


def derive_defaults(job: "Job") -> dict[str, PlatformDefault]:
    """Return what a job needs as defaults of the settings, by name."""
    return {
        name: PlatformDefault(str(value), f"for {job.workload}") for name, value in list_needed_resources(job).items()
    }


def fill_settings(job: "Job", settings: Settings) -> Settings:
    """Return the settings with what the job needs in place of those that are not set."""
    needed_resources = list_needed_resources(job)
    filled_settings: Settings = replace(
        settings, **{name: value for name, value in needed_resources.items() if getattr(settings, name) is None}
    )
    return filled_settings


def parse_time(text: str, forms: Sequence[str] = TIME_FORMS) -> int | None:
    """Return the seconds of `1d12h`, `90m` or `4:00:00`; None if no form fits. `forms`: as `TIME_FORMS`."""
    match = next(filter(None, (re.fullmatch(form, text, re.ASCII) for form in forms)), None)
    if not match:
        return None
    return sum(int(part or 0) * seconds for part, seconds in zip(match.groups(), SECONDS_OF_PARTS, strict=True))


def format_time(seconds: int) -> str:
    """Return a time as `36:00:00`."""
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def parse_memory(text: str, unit: str = "") -> float | None:
    """Return the MiB of `48G`, `48Gi` or `1.5T`; None if it has no such form. `unit`: that of a bare number."""
    match = re.fullmatch(MEMORY_FORM, f"{text}{unit}" if text[-1:].isdigit() else text, re.ASCII)
    return float(match[1]) * _MEMORY_UNITS[match[2]] if match else None


def format_memory(size: int) -> str:
    """Return MiB as `48G` or `500M`."""
    return f"{size >> 10}G" if size and size % 1024 == 0 else f"{size}M"
