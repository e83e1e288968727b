"""The workload `earlier-workload`, on the machine that submits: what a job of it may say.

Nothing heavy is imported here: `--help` and the TAB key import this module too.
"""

from dataclasses import dataclass
from typing import Annotated

from robotrain.plugin import Param, Workload, hook


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What users set, with flags, environment variables or in a job file. No secrets: plans store them."""

    times: Annotated[int, Param(help="how far to count", gt=0, le=1000)] = 3


@hook
def robotrain_workloads() -> list[Workload]:
    """Return the workload: robotrain calls this when the name `earlier-workload` is used."""
    return [
        Workload(
            name="earlier-workload",
            summary="counts to a number",
            parameters=Parameters,
            # The data of a job, such as {"dataset": Role(required=True)}.
            roles={},
            container_plugin="robotrain_earlier_workload.container",
            produces="files",  # or "checkpoints", or "results"
        )
    ]
