"""The options of sbatch for a job, as its script has them."""

from collections.abc import Iterator

from robotrain.model.job import Job
from robotrain_runtime.contract.parameter import load_pairs

from robotrain_slurm.settings import SlurmSettings

Option = tuple[str, str | None]
"""The long name of an option of sbatch without dashes, and its value; None for a flag."""


def list_options(job: Job, settings: SlurmSettings) -> Iterator[Option]:
    """Yield the options that the settings ask for, in their order."""
    for name in ("partition", "account", "qos", "constraint", "exclude"):
        if value := getattr(settings, name):
            yield name, value
    if settings.time:
        yield "time", settings.time
    gpus = job.training_gpus if settings.gpus is None else settings.gpus
    if gpus:
        yield "gres", ":".join(filter(None, ("gpu", settings.gpu_type, str(gpus))))
    if settings.cpus:
        yield "cpus-per-task", str(settings.cpus)
    if settings.memory:
        yield "mem", settings.memory
    yield from load_pairs(settings.sbatch).items()


def format_option(option: Option) -> str:
    """Return the line of a batch script for an option."""
    name, value = option
    return f"#SBATCH --{name}" if value is None else f"#SBATCH --{name}={value}"
