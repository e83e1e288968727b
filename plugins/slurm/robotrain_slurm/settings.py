"""Settings of the Slurm platform."""

import os
from typing import Annotated, Literal

from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass
from robotrain_runtime.contract.parameter import Param


@lazy_dataclass(frozen=True, kw_only=True)
class SlurmSettings:
    """Settings of the Slurm platform. Relative paths become absolute here: a record must not depend on a folder."""

    partition: Annotated[
        str | None, Param(help="partition, or several: gpu,debug", env=("SBATCH_PARTITION",), metavar="NAME")
    ] = None
    account: Annotated[
        str | None, Param(help="account to charge", env=("SBATCH_ACCOUNT",), metavar="NAME", destination=True)
    ] = None
    qos: Annotated[str | None, Param(help="quality of service", env=("SBATCH_QOS",), metavar="NAME")] = None
    time: Annotated[
        str | None, Param(help="time limit of one start: 4h, 90m", env=("SBATCH_TIMELIMIT",), metavar="TIME")
    ] = None
    gpus: Annotated[int | None, Param(help="GPUs (default: as many as the job trains on)", ge=0)] = None
    gpu_type: Annotated[str | None, Param(help="type of GPU, as the cluster names it: a100", metavar="NAME")] = None
    cpus: Annotated[int | None, Param(help="CPU cores", ge=1)] = None
    memory: Annotated[str | None, Param(help="memory: 48G", metavar="SIZE")] = None
    constraint: Annotated[
        str | None, Param(help="features that the node must have", env=("SBATCH_CONSTRAINT",), metavar="FEATURES")
    ] = None
    exclude: Annotated[str | None, Param(help="nodes that are not used", metavar="NODES")] = None
    sbatch: Annotated[str | None, Param(help="any other option of sbatch", metavar="NAME[=VALUE]", pairs=True)] = None
    runs_dir: Annotated[
        str, Param(help="folder of run folders, which every node sees", metavar="FOLDER", path=True)
    ] = "~/robotrain-runs"
    cache_dir: Annotated[
        str, Param(help="folder of cached data and environments, which every node sees", metavar="FOLDER", path=True)
    ] = "~/.cache/robotrain"
    storage: Annotated[
        Literal["shared", "node"], Param(help="shared: every node sees the folders; node: each node has its own")
    ] = "shared"
    stage: Annotated[
        bool, Param(help="fetch what the job needs on this machine first, for nodes without a network")
    ] = False
    continuation: Annotated[
        Literal["requeue", "node", "login", "never"],
        Param(help="how a job goes on whose time is up: requeued, or sent again by the node or by this machine"),
    ] = "requeue"
    stop_seconds: Annotated[int, Param(help="seconds before the time limit in which a checkpoint is saved", ge=10)] = (
        120
    )
    environment: Annotated[
        str | None,
        Param(help="use this Python environment instead of building the locked one", metavar="PATH", path=True,
              program=True),
    ] = None  # fmt: skip
    tracking_uri: Annotated[
        str | None, Param(help="MLflow tracking URI (default: no tracking)", destination=True, metavar="URI")
    ] = None
    torch_backend: Annotated[
        str | None, Param(help="build of PyTorch to install instead of the locked one", metavar="BUILD")
    ] = None
    blob_credential_file: Annotated[
        str | None, Param(help="file with an account key, SAS or token for blobs", metavar="FILE", path=True)
    ] = None
    hub_token_file: Annotated[str | None, Param(help="file with a Hugging Face token", metavar="FILE", path=True)] = (
        None
    )
    git_token_file: Annotated[
        str | None, Param(help="file with a token of the git host, for code", metavar="FILE", path=True)
    ] = None
    secrets: Annotated[
        str | None,
        Param(
            help="environment variable of the program, and a file that holds its value and that only you may read",
            flag="--secret",
            metavar="NAME=FILE",
            pairs=True,
        ),
    ] = None
    cache_gib: Annotated[float | None, Param(help="maximum size of cached data (default: no limit)", gt=0)] = None
    download_mib: Annotated[int, Param(help="memory for downloads, in MiB", ge=16)] = 256

    def __post_init__(self) -> None:
        for name in ("runs_dir", "cache_dir", "environment", "blob_credential_file", "hub_token_file",
                     "git_token_file"):  # fmt: skip
            if value := getattr(self, name):
                object.__setattr__(self, name, os.path.abspath(os.path.expanduser(value)))
