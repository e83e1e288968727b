"""A platform whose settings Terraform or a look-up on this machine may know. Read as text, like fake_platform.py.

`CLOUD_LOOKUP` names a file with what the look-up answers: a value and a place, a line each; `CLOUD_LOOKUP_CALLS`
counts the calls; `CLOUD_WORKERS` is how many processes load data without shared memory, `CLOUD_EXPERIMENT` the
tracking experiment.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fake_plugin import FAKE, FakeEngine
from fake_plugin import Settings as FakeSettings
from robotrain.plugin import Param, Platform, PlatformDefault, TerraformOutput, hook


@dataclass(frozen=True, kw_only=True)
class Settings(FakeSettings):
    subscription_id: Annotated[
        str | None,
        Param(
            help="whose it is",
            aliases=("--cloud-subscription-id",),
            env=("CLOUD_SUBSCRIPTION",),
            terraform=TerraformOutput("subscription_id.value"),
            lookup="cloud_plugin:subscription",
        ),
    ] = None
    group: Annotated[
        str | None, Param(env=("CLOUD_GROUP",), terraform=TerraformOutput("group.value.name"), metavar="NAME")
    ] = None
    probes: Annotated[int, Param(terraform=TerraformOutput("probes.value"), gt=0)] = 1
    rings: Annotated[bool, Param(terraform=TerraformOutput("rings.value"))] = False
    beacon: Annotated[str | None, Param(terraform=TerraformOutput("beacon.value", is_optional=True))] = None
    dock: Annotated[
        str | None, Param(terraform=TerraformOutput("dock.value", optional_with="tier", needed_with=("pier",)))
    ] = None
    pier: Annotated[
        str | None, Param(terraform=TerraformOutput("pier.value", optional_with="tier", needed_with=("dock",)))
    ] = None
    shared_memory: Annotated[Literal["mount", "none"], Param()] = "none"
    labels: Annotated[str | None, Param(help="labels", form="table")] = None
    tier: Annotated[str, Param(help="which tier")] = "low"


def subscription() -> tuple[str, str] | None:
    with Path(os.environ["CLOUD_LOOKUP_CALLS"]).open("a") as calls:
        calls.write("once\n")
    path = Path(os.environ["CLOUD_LOOKUP"])
    if not path.exists():
        return None
    if "broken" in path.read_text():
        raise ValueError("line 1 is broken, password=hunter2")
    value, where = path.read_text().splitlines()
    return value, where


class CloudEngine(FakeEngine):
    def defaults(self, settings: Any) -> Mapping[str, PlatformDefault]:
        """Nothing where there is shared memory; `rings_of_cloud` is a parameter that no workload has."""
        if settings.shared_memory == "mount":
            return {}
        workers, experiment = os.environ.get("CLOUD_WORKERS", "0"), os.environ.get("CLOUD_EXPERIMENT")
        return {
            "num_workers": PlatformDefault("many" if settings.tier == "wrong" else workers, "no shared memory"),
            "rings_of_cloud": PlatformDefault("7", "they are there"),
            **({"experiment_name": PlatformDefault(experiment, "all have one")} if experiment else {}),
        }


CLOUD = replace(
    FAKE,
    name="cloud",
    engine_class=CloudEngine,
    settings=Settings,
)


@hook
def robotrain_platforms() -> list[Platform]:
    return [CLOUD]
