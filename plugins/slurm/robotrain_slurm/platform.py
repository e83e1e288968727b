"""The platform `slurm`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_slurm.capabilities import CAPABILITIES
from robotrain_slurm.gpu_words import translate_gpu_option
from robotrain_slurm.settings import SlurmSettings

SLURM = Platform(
    name="slurm",
    summary="a Slurm cluster, as a batch job",
    engine_class="robotrain_slurm.engine:SlurmEngine",
    plans_class="robotrain_slurm.spec.plans:SlurmPlans",
    settings=SlurmSettings,
    capabilities=CAPABILITIES,
    option_hints={
        **dict.fromkeys(("--cpu", "--cpus-per-task", "-c"), "use --cpus N"),
        "--exec-timeout": "use --time TIME",
        **dict.fromkeys(("--gres", "-G"), "use --gpus N"),
        "-A": "use --account NAME",
        "-p": "use --partition NAME",
        "-J": "use --name NAME",
        "-t": "use --time TIME",
        "--mem": "use --memory SIZE",
        "-w": "use --sbatch nodelist=VALUE",
        **dict.fromkeys(("-a", "--array"), "`robotrain sweep` runs one job over several values"),
        **dict.fromkeys(("-d", "--dependency"), "`robotrain pipeline submit` runs jobs that wait for each other"),
        **dict.fromkeys(("-N", "--nodes"), "use --num-nodes N"),
        **dict.fromkeys(("--ntasks-per-node", "--gpus-per-node", "--gpus-per-task"), "use --num-gpus N"),
        **{flag: f"use --sbatch {flag[2:]}=VALUE" for flag in ("--reservation", "--mail-user", "--mail-type")},
    },
    translate_option=translate_gpu_option,
    cancel_command="scancel {job}",
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (SLURM,)
