"""Settings of the Slurm platform."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain.run_folder.scheduler_settings import SchedulerFolders
from robotrain.run_folder.settings import SQLITE_SCHEME, make_absolute_path, make_absolute_uri, make_settings_absolute
from robotrain_runtime.contract.parameter import Param


def keep_home(text: str) -> str:
    """Return a path of a cluster that does not depend on a folder of this machine, with `~` for the home folder."""
    if text.startswith("~"):
        return text
    home = os.path.expanduser("~").rstrip("/")
    path = make_absolute_path(text)
    return f"~{path[len(home) :]}" if home and (path == home or path.startswith(f"{home}/")) else path


def keep_home_in_uri(uri: str) -> str:
    """Return a tracking URI, of which a file is one of the cluster."""
    if uri.startswith(SQLITE_SCHEME):
        return SQLITE_SCHEME + keep_home(uri.removeprefix(SQLITE_SCHEME))
    return make_absolute_uri(uri)


@dataclass(frozen=True, kw_only=True)
class SlurmJobSettings:
    """Where and how a job runs."""

    login: Annotated[
        str | None,
        Param(
            help="login node of the cluster, on which your ssh submits the job (default: this machine is one)",
            common=True,
            metavar="USER@HOST",
            names="program",
        ),
    ] = None
    partition: Annotated[
        str | None,
        Param(
            help="partition to run in (default: the cluster's)",
            common=True,
            env=("SBATCH_PARTITION",),
            metavar="NAME[,NAME]",
        ),
    ] = None
    account: Annotated[
        str | None,
        Param(
            help="account that is charged (default: yours)",
            common=True,
            env=("SBATCH_ACCOUNT",),
            metavar="NAME",
            destination=True,
        ),
    ] = None
    qos: Annotated[
        str | None, Param(help="quality of service (default: the account's)", env=("SBATCH_QOS",), metavar="NAME")
    ] = None
    time: Annotated[
        str | None,
        Param(
            help="time limit of one start: 4h, 90m, or as Slurm writes it, 1-12:00:00 (default: the workload's)",
            common=True,
            env=("SBATCH_TIMELIMIT",),
            metavar="TIME",
        ),
    ] = None
    gpus: Annotated[
        int | None,
        Param(
            help="GPUs of the node (default: as many as the job trains on)",
            common=True,
            ge=0,
            lookup="robotrain_slurm.spec.variables:find_gpus",
        ),
    ] = None
    gpu_type: Annotated[
        str | None,
        Param(
            help="type of GPU, as the cluster names it: a100 (default: any)",
            common=True,
            metavar="TYPE",
            pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$",
            pattern_help="the name of a type, such as a100",
            lookup="robotrain_slurm.spec.variables:find_gpu_type",
        ),
    ] = None
    cpus: Annotated[int | None, Param(help="CPU cores of each node (default: the workload's)", ge=1)] = None
    memory: Annotated[
        str | None,
        Param(
            help="memory of each node: 48G; 0: all of it; none: the partition's default (default: the workload's)",
            env=("SBATCH_MEM_PER_NODE",),
            metavar="SIZE",
            takes_none=True,
        ),
    ] = None
    constraint: Annotated[
        str | None,
        Param(
            help="features that the node must have, such as a100&nvlink",
            env=("SBATCH_CONSTRAINT",),
            metavar="FEATURES",
        ),
    ] = None
    exclude: Annotated[str | None, Param(help="nodes that are not used, such as node[3-5]", metavar="NODES")] = None
    sbatch: Annotated[
        str | None,
        Param(
            help="other options of sbatch, such as reservation=robots, or exclusive; also your SBATCH_… variables",
            metavar="NAME[=VALUE]",
            form="pairs",
            bare_names=True,
            lookup="robotrain_slurm.spec.variables:find_options",
        ),
    ] = None
    modules: Annotated[
        str | None,
        Param(
            help="environment modules to load before the job starts",
            flag="--module",
            metavar="NAME[,NAME]",
            names="program",
        ),
    ] = None
    prologue: Annotated[
        str | None,
        Param(
            help="file with lines of bash that the batch script begins with",
            metavar="FILE",
            path=True,
            names="program",
        ),
    ] = None
    runs_dir: str = ""
    cache_dir: str = ""
    """Those of `SchedulerFolders`, in their place among the options."""
    storage: Annotated[
        Literal["shared"] | None,
        Param(help="shared: every node sees these folders, which is then not doubted"),
    ] = None
    unshared: Annotated[
        str | None,
        Param(
            help="folders of this machine that the nodes do not see: data in them is copied into --cache-dir (default: "
            "data on a disk of this machine, where --cache-dir is on another one)",
            metavar="FOLDER[,FOLDER]",
        ),
    ] = None
    stage: Annotated[
        bool, Param(help="fetch what the job needs on this machine before it is sent, for nodes without internet")
    ] = False
    continuation: Annotated[
        Literal["requeue", "node", "never"],
        Param(
            help="how a job goes on whose time is up: requeue: Slurm requeues it; node: it sends itself again; "
            "never: it ends"
        ),
    ] = "requeue"
    stop_seconds: Annotated[
        int | None,
        Param(
            help="seconds before the time limit at which the job saves a checkpoint and stops (default: 120, at most "
            "a third of the limit)",
            ge=10,
            le=65535,
        ),
    ] = None
    container: Annotated[
        Literal["pyxis", "apptainer"] | None,
        Param(help="run in a container, through Pyxis or Apptainer (default: in a Python environment of the node)"),
    ] = None
    image: Annotated[
        str | None,
        Param(help="container image, with --container (default: the workload's)", short="-i", metavar="IMAGE"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SlurmSettings(SchedulerFolders, SlurmJobSettings):
    """Settings of the Slurm platform."""

    def __post_init__(self) -> None:
        make_path, make_uri = make_absolute_path, make_absolute_uri
        if self.login:
            make_path, make_uri = keep_home, keep_home_in_uri
        make_settings_absolute(self, make_path, make_uri)
        if self.unshared:
            folders = filter(None, self.unshared.split(","))
            object.__setattr__(self, "unshared", ",".join(map(make_absolute_path, folders)))
        if self.prologue:  # a file of this machine, which goes into the script
            object.__setattr__(self, "prologue", make_absolute_path(self.prologue))
