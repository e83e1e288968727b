"""Settings that all platforms with containers have, and the configured settings outside of a request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from robotrain_runtime.contract.parameter import Param

if TYPE_CHECKING:
    from robotrain.config.request import Request

Settings = TypeVar("Settings")
SECRET_FLAG = "--secret"
"""The option of a platform's setting `secrets`."""


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Settings that platforms with containers inherit."""

    image: Annotated[
        str | None,
        Param(help="container image (default: the workload's)", short="-i", env=("IMAGE",), metavar="IMAGE"),
    ] = None
    work_dir: Annotated[
        str,
        Param(
            help="working folder in the container",
            pattern=r"^(/[A-Za-z0-9._-]+)+$",
            pattern_help="an absolute path of letters, digits, `_`, `.` and `-`",
            metavar="FOLDER",
        ),
    ] = "/tmp/robotrain"
    cache_gib: Annotated[
        float | None, Param(help="maximum size of cached data in the container (default: no limit)", gt=0)
    ] = None
    download_mib: Annotated[int, Param(help="memory for downloads, in MiB", ge=16)] = 256


def read_configured_settings(kind: type[Settings], platform: str, *, with_terraform: bool = False) -> Settings:
    """Return the settings of a platform without options and a job file; invalid values count as not set."""
    from robotrain.config.coerce import coerce_values
    from robotrain.config.layers import LayerStack

    request = make_configured_request(with_terraform)
    tables = request.project.list_settings(platform) if request.project else []
    settings: Settings = coerce_values(kind, LayerStack(request).resolve_values(kind, {}, {}, tables)).instance
    return settings


def make_configured_request(with_terraform: bool) -> Request:
    """Return a request of the environment, `.env` files, robotrain.toml and, if wanted, Terraform's outputs."""
    from robotrain.config.request import Request
    from robotrain.config.selection import read_surroundings
    from robotrain.config.terraform import TerraformLayer

    variables, project, _ = read_surroundings()
    terraform = TerraformLayer(variables, project, Path.cwd()) if with_terraform else None
    return Request(variables=variables, project=project, terraform=terraform)
