"""Settings of the local platform."""

from dataclasses import dataclass
from typing import Annotated

from robotrain.run_folder.settings import make_settings_absolute
from robotrain_runtime.contract.parameter import Param


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    """Settings of the local platform.

    Relative paths become absolute here: a run's record must not depend on the current folder of the next command.
    """

    environment: Annotated[
        str | None,
        Param(
            help="use this Python environment instead of building the locked one",
            metavar="PATH",
            path=True,
            names="program",
        ),
    ] = None
    runs_dir: Annotated[
        str | None,
        Param(help="folder of run folders (default: `local` in robotrain's state folder)", metavar="FOLDER", path=True),
    ] = None
    # No `env`: an MLFLOW_TRACKING_URI that was set for another project must not redirect runs.
    tracking_uri: Annotated[
        str | None,
        Param(
            help="MLflow tracking URI (default: a SQLite file in the state folder; none: no tracking; "
            "MLFLOW_TRACKING_URI is ignored)",
            destination=True,
            takes_none=True,
        ),
    ] = None

    torch_backend: Annotated[
        str | None,
        Param(
            help="build of PyTorch to install instead of the locked one, at the same version: cpu, cu126, rocm6.4, "
            "xpu, or auto (chosen by the machine's driver); default without an NVIDIA GPU: cpu, if its index answers",
            metavar="BUILD",
        ),
    ] = None

    blob_credential_file: Annotated[
        str | None,
        Param(
            help="file with an account key, SAS or token for reading blobs, when you cannot sign in",
            metavar="FILE",
            path=True,
            names="file",
        ),
    ] = None
    hub_token_file: Annotated[
        str | None,
        Param(
            help="file with a Hugging Face token",
            metavar="FILE",
            path=True,
            names="file",
        ),
    ] = None
    secrets: Annotated[
        str | None,
        Param(
            help="environment variable of the program, and a file that holds its value and that only you may read: "
            "/PATH or ~/PATH",
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
    download_mib: Annotated[int, Param(help="memory for downloads, in MiB", ge=16)] = 128

    def __post_init__(self) -> None:
        make_settings_absolute(self)
