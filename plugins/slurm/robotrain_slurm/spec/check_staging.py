"""Rules on what is fetched before a job is sent, for a node without a network. Pure."""

from collections.abc import Iterator

from robotrain.check.publish_targets import CHECKPOINT_PARAMETER, is_address
from robotrain.errors import Problem, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import Job

from robotrain_slurm.settings import SlurmSettings

make_problem = Messages(__file__)

PUBLISH_FLAG = f"--{CHECKPOINT_PARAMETER.replace('_', '-')}"


def check_staging(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check what `--stage` cannot do: every source can be fetched before the job is sent; what it writes cannot."""
    if not settings.stage:
        return
    if settings.torch_backend == "auto":
        yield make_problem("slurm-stage-backend", given="auto")
    services = {PUBLISH_FLAG: str(dict(job.parameters).get(CHECKPOINT_PARAMETER) or "")}
    if dict(job.parameters).get("wandb"):
        services["--wandb"] = "https://api.wandb.ai"
    services["--tracking-uri"] = settings.tracking_uri or ""
    for flag, address in services.items():
        if is_address(address) and not address.startswith("sqlite:"):
            yield make_problem("slurm-stage-writes", suggest_leaving_out(flag), where=flag, given=address)
