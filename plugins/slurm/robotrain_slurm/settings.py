"""Settings of the Slurm platform."""

from typing import Annotated, Literal

from robotrain.run_folder.settings import make_absolute_path, make_absolute_uri
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass
from robotrain_runtime.contract.parameter import Param

_PATHS = (
    *("runs_dir", "cache_dir", "environment", "prologue"),
    *("blob_credential_file", "hub_token_file", "git_token_file"),
)


@lazy_dataclass(frozen=True, kw_only=True)
class SlurmSettings:
    """Settings of the Slurm platform. Relative paths become absolute here: a record must not depend on a folder."""

    partition: Annotated[
        str | None,
        Param(
            help="partition to run in, or several: gpu,debug (default: the cluster's)",
            env=("SBATCH_PARTITION",),
            metavar="NAME[,NAME]",
        ),
    ] = None
    account: Annotated[
        str | None,
        Param(
            help="account that is charged (default: yours)", env=("SBATCH_ACCOUNT",), metavar="NAME", destination=True
        ),
    ] = None
    qos: Annotated[
        str | None, Param(help="quality of service (default: the account's)", env=("SBATCH_QOS",), metavar="NAME")
    ] = None
    time: Annotated[
        str | None,
        Param(
            help="time limit of one start: 4h, 90m, or as Slurm writes it, 1-12:00:00 (default: the workload's)",
            env=("SBATCH_TIMELIMIT",),
            metavar="TIME",
        ),
    ] = None
    gpus: Annotated[
        int | None,
        Param(
            help="GPUs of the node (default: as many as the job trains on)",
            ge=0,
            lookup="robotrain_slurm.spec.variables:find_gpus",
        ),
    ] = None
    gpu_type: Annotated[
        str | None,
        Param(
            help="type of GPU, as the cluster names it: a100 (default: any)",
            metavar="TYPE",
            pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$",
            pattern_help="the name of a type, such as a100",
            lookup="robotrain_slurm.spec.variables:find_gpu_type",
        ),
    ] = None
    cpus: Annotated[int | None, Param(help="CPU cores (default: the workload's)", ge=1)] = None
    memory: Annotated[
        str | None,
        Param(
            help="memory, such as 48G; 0: all of the node; none: the partition's default (default: the workload's)",
            env=("SBATCH_MEM_PER_NODE",),
            metavar="SIZE",
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
            pairs=True,
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
            program=True,
        ),
    ] = None
    prologue: Annotated[
        str | None,
        Param(
            help="file with lines of bash that the batch script begins with",
            metavar="FILE",
            path=True,
            program=True,
        ),
    ] = None
    runs_dir: Annotated[
        str, Param(help="folder of run folders, which every node sees under the same path", metavar="FOLDER", path=True)
    ] = "~/robotrain-runs"
    cache_dir: Annotated[
        str, Param(help="folder of cached data and environments, which every node sees", metavar="FOLDER", path=True)
    ] = "~/.cache/robotrain"
    storage: Annotated[
        Literal["shared", "node"],
        Param(help="shared: every node sees these folders; node: each node has its own, and results are published"),
    ] = "shared"
    stage: Annotated[
        bool, Param(help="fetch what the job needs on this machine before it is sent, for nodes without internet")
    ] = False
    continuation: Annotated[
        Literal["requeue", "node", "login", "never"],
        Param(
            help="how a job goes on whose time is up: requeue: Slurm requeues it; node: it sends itself again; login: "
            "this machine sends it again; never: it ends"
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
    environment: Annotated[
        str | None,
        Param(
            help="use this Python environment, which every node sees, instead of building the locked one",
            metavar="PATH",
            path=True,
            program=True,
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
        ),
    ] = None
    blob_credential_file: Annotated[
        str | None,
        Param(
            help="file with an account key, SAS or token for blobs, which every node sees", metavar="FILE", path=True
        ),
    ] = None
    hub_token_file: Annotated[
        str | None,
        Param(help="file with a Hugging Face token, which every node sees", metavar="FILE", path=True),
    ] = None
    git_token_file: Annotated[
        str | None,
        Param(help="file with a token of the git host, for code in a private repository", metavar="FILE", path=True),
    ] = None
    secrets: Annotated[
        str | None,
        Param(
            help="environment variable of the program, and a file that holds its value, that only you may read and "
            "that every node sees: /PATH or ~/PATH",
            flag="--secret",
            metavar="NAME=FILE",
            pairs=True,
        ),
    ] = None
    cache_gib: Annotated[
        float | None,
        Param(help="maximum size of cached data; the least recently used is removed first (default: no limit)", gt=0),
    ] = None
    download_mib: Annotated[int, Param(help="memory for downloads, in MiB", ge=16)] = 256

    def __post_init__(self) -> None:
        for name in _PATHS:
            if value := getattr(self, name):
                object.__setattr__(self, name, make_absolute_path(value))
        if self.tracking_uri:
            object.__setattr__(self, "tracking_uri", make_absolute_uri(self.tracking_uri))
