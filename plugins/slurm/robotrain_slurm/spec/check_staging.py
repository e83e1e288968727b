"""Rules on what is fetched before a job is sent, for a node without a network. Pure."""

from collections.abc import Iterator

from robotrain.check.publish_targets import CHECKPOINT_PARAMETER, is_address
from robotrain.cluster.checks import make_unsupported_problem, make_warning
from robotrain.errors import Problem, suggest_leaving_out
from robotrain.model.job import Job

from robotrain_slurm.settings import SlurmSettings

PUBLISH_FLAG = f"--{CHECKPOINT_PARAMETER.replace('_', '-')}"


def check_staging(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check what `--stage` cannot do: every source can be fetched before the job is sent; what it writes cannot."""
    if not settings.stage:
        return
    if settings.torch_backend == "auto":
        title = "--torch-backend auto would choose for this machine, and not for the node"
        why = "With --stage the environment is built here; `auto` looks at the driver of the machine that builds it."
        fix = "--torch-backend cu126"
        yield make_unsupported_problem("slurm-stage-backend", title, "--torch-backend", "auto", why, fix)
    services = {PUBLISH_FLAG: str(dict(job.parameters).get(CHECKPOINT_PARAMETER) or "")}
    if dict(job.parameters).get("wandb"):
        services["--wandb"] = "https://api.wandb.ai"
    services["--tracking-uri"] = settings.tracking_uri or ""
    for flag, address in services.items():
        if is_address(address) and not address.startswith("sqlite:"):
            title = f"with {flag} the node needs a network while the job runs"
            why = "--stage fetches what the job reads; what it writes goes from the node itself."
            yield make_warning("slurm-stage-writes", title, flag, address, why, suggest_leaving_out(flag))
