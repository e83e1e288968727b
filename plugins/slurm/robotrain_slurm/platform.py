"""The platform `slurm`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_slurm.capabilities import CAPABILITIES
from robotrain_slurm.settings import SlurmSettings

SLURM = Platform(
    name="slurm",
    summary="a Slurm cluster, as a batch job",
    engine_class="robotrain_slurm.engine:SlurmEngine",
    plans_class="robotrain_slurm.spec.plans:SlurmPlans",
    settings=SlurmSettings,
    capabilities=CAPABILITIES,
    cancel_command="scancel {job}",
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (SLURM,)
