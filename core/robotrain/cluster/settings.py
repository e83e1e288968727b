"""Settings that all platforms with containers have, and the configured settings outside of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from robotrain_runtime.contract.parameter import Param

from robotrain.config.selection import read_surroundings

Settings = TypeVar("Settings")
SECRET_FLAG = "--secret"
"""The option of a platform's setting `secrets`."""


PATCH_SETTING = "spec_patch"
"""The setting with the patch of a platform's spec; its option is `--spec-patch`."""
SPEC_PATCH = Param(
    help="YAML or JSON file with a JSON merge patch (RFC 7386) of the rendered spec, for what has no option: mappings "
    "are merged, null removes a key, anything else replaces the value, lists as a whole",
    metavar="FILE",
    form="patch",
    names="secret",
)
"""That of the setting `spec_patch` of a platform that takes one."""


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
    from robotrain.config.merge import LayerStack
    from robotrain.config.request import Request
    from robotrain.config.terraform import TerraformLayer
    from robotrain.config.validate import validate_values

    surroundings, table = read_surroundings(), f"platforms.{platform}"
    request = Request(terraform=TerraformLayer(surroundings) if with_terraform else None)
    stack = LayerStack(request, list(surroundings.list_layers("", platform, {table: kind})))
    settings: Settings = validate_values(kind, stack.merge_values(kind, table)).instance
    return settings
