"""Whether what a run leaves outlives the disk that it writes to: asked once, for every workload and every step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from robotrain.errors import Problem, Severity, Stage, Suggestion, make_problem
from robotrain.model.job import PUBLISH_PARAMETER, Job

PUBLISH_FLAG = f"--{PUBLISH_PARAMETER.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class LostDisk:
    """A disk that is deleted, or that nobody sees, once a run has ended."""

    code: str
    """The code of the problem."""
    why: str
    """A sentence."""
    ways: tuple[Suggestion | str, ...]
    """Options that keep the outputs, best first."""
    keeps_last: bool = False
    """Whether the platform copies the last output elsewhere anyway."""
    keeps_results: bool = False
    """Whether results are kept elsewhere anyway: as artifacts of the tracking run."""


def check_kept_outputs(job: Job, disk: LostDisk) -> Iterator[Problem]:
    """Yield a problem if the outputs of a job would be lost with the disk.

    It is an error where they are all that the job is for, else a warning: `--publish-url none` says that it is meant.
    """
    values, outputs = dict(job.parameters), job.profile.outputs
    is_unknown = any(source.role == outputs.unknown_with for source in job.sources)
    if PUBLISH_PARAMETER not in values or values[PUBLISH_PARAMETER] or is_unknown:
        return
    is_registered = values.get(outputs.register_parameter) is not None or disk.keeps_last
    if disk.keeps_results and not outputs.resumable:
        return
    if is_registered and (outputs.required or not outputs.resumable):
        return
    ways = disk.ways
    severity: Severity
    if not is_registered and outputs.resumable and outputs.register_parameter in values:
        ways = (*ways, f"--{outputs.register_parameter.replace('_', '-')} NAME")
    if is_registered:
        title, severity = "only the last checkpoint is kept: a run that is interrupted starts over", "note"
    elif outputs.required:
        title, severity = f"the outputs of this {outputs.noun} would not be kept", "error"
    elif outputs.resumable:
        title, severity = f"no checkpoint of this {outputs.noun} will be kept", "warning"
    else:
        title, severity = f"only the log of this {outputs.noun} will be kept", "warning"
    stage = Stage.RESOLVE if severity == "error" else Stage.CHECK
    problem = make_problem(disk.code, title, PUBLISH_FLAG, "", disk.why, *ways, stage=stage, severity=severity)
    yield problem if severity == "error" else replace(problem, absent=(PUBLISH_PARAMETER,))
