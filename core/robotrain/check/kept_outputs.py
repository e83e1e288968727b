"""Whether what a run leaves outlives the disk that it writes to: asked once, for every workload and every step."""

from collections.abc import Iterator
from dataclasses import dataclass

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import PUBLISH_PARAMETER, Job

make_problem = Messages(__file__)

PUBLISH_FLAG = f"--{PUBLISH_PARAMETER.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class LostDisk:
    """A disk that is deleted, or that nobody sees, once a run has ended."""

    why: str
    """A sentence."""
    ways: tuple[Suggestion | str, ...]
    """Options that keep the outputs, best first."""
    keeps_last: bool = False
    """Whether the platform copies the last output elsewhere anyway."""
    has_registry: bool = True
    """Whether a job can register its last checkpoint, given its settings."""
    keeps_results: bool = False
    """Whether results are kept elsewhere anyway: as artifacts of the tracking run."""


def check_kept_outputs(job: Job, disk: LostDisk) -> Iterator[Problem]:
    """Yield a problem if the outputs of a job would be lost with the disk.

    It is an error where they are all that the job is for, else a warning: `--publish-url none` says that it is meant.
    """
    parameters, outputs = dict(job.parameters), job.profile.outputs
    is_unknown = any(source.role == outputs.unknown_with for source in job.sources)
    if PUBLISH_PARAMETER not in parameters or parameters[PUBLISH_PARAMETER] or is_unknown:
        return
    is_registered = parameters.get(outputs.register_parameter) is not None or disk.keeps_last
    if disk.keeps_results and not outputs.resumable:
        return
    if is_registered and (outputs.required or not outputs.resumable):
        return
    ways = disk.ways
    if disk.has_registry and not is_registered and outputs.resumable and outputs.register_parameter in parameters:
        ways = (*ways, f"--{outputs.register_parameter.replace('_', '-')} NAME")
    if is_registered:
        message = "nothing-kept.last-only"
    elif outputs.required:
        message = "nothing-kept.required"
    elif outputs.resumable:
        message = "nothing-kept.checkpoints"
    else:
        message = "nothing-kept.log-only"
    absent_parameters = () if message == "nothing-kept.required" else (PUBLISH_PARAMETER,)
    yield make_problem(message, *ways, where=PUBLISH_FLAG, absent=absent_parameters, noun=outputs.noun, why=disk.why)
