"""What can be said about running on this machine."""

import os
import re
from dataclasses import dataclass
from typing import Annotated

from robotrain_runtime.contract.parameter import Param

SQLITE_SCHEME = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """The local platform's settings. Relative paths are made absolute here, once: a record must not depend on where
    robotrain is called from next time.
    """

    environment: Annotated[
        str | None,
        Param(
            help="an existing Python environment to run in, instead of building the locked one",
            metavar="PATH",
            path=True,
        ),
    ] = None
    runs_dir: Annotated[
        str | None,
        Param(
            help="where run folders are made (default: `local` in robotrain's state folder)",
            metavar="FOLDER",
            path=True,
        ),
    ] = None
    # MLFLOW_TRACKING_URI is left out of `env`: one set for another project must not redirect runs unasked.
    tracking_uri: Annotated[
        str | None,
        Param(help="MLflow address (default: a SQLite file in the state folder; MLFLOW_TRACKING_URI is not read)"),
    ] = None

    torch_backend: Annotated[
        str | None,
        Param(
            help="build the environment with this PyTorch in place of the locked one, at the same version: cpu, cu126, "
            "rocm6.4, xpu, or auto for what suits this machine",
            metavar="BUILD",
        ),
    ] = None

    blob_credential_file: Annotated[
        str | None,
        Param(
            help="a file with an account key, a SAS or a token to read blobs with, where no sign-in is to be had",
            metavar="FILE",
            path=True,
        ),
    ] = None
    hub_token_file: Annotated[
        str | None, Param(help="a file with the token to read the Hub with", metavar="FILE", path=True)
    ] = None
    cache_gib: Annotated[
        float | None,
        Param(help="what data may take in the cache; the longest unused goes first (default: no limit)", gt=0),
    ] = None
    download_mib: Annotated[int, Param(help="the memory that downloads may hold, in MiB", ge=16)] = 128

    def __post_init__(self) -> None:
        for name in ("environment", "runs_dir", "blob_credential_file", "hub_token_file"):
            if value := getattr(self, name):
                object.__setattr__(self, name, _make_absolute_path(value))
        if self.tracking_uri:
            object.__setattr__(self, "tracking_uri", _make_absolute_uri(self.tracking_uri))


def _make_absolute_path(text: str) -> str:
    return os.path.abspath(os.path.expanduser(text))


def _make_absolute_uri(text: str) -> str:
    """An MLflow address; a relative file in it is one of the folder robotrain is called from."""
    if text.startswith(SQLITE_SCHEME):
        return SQLITE_SCHEME + _make_absolute_path(text[len(SQLITE_SCHEME) :])
    return text if re.match(r"[a-z][a-z0-9+.-]*:|databricks$", text) else _make_absolute_path(text)
