"""What a run leaves in its folder: log, events, outputs; and how it is cancelled."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from robotrain.model.run import Output, Reference
from robotrain.run_folder import log
from robotrain_runtime.contract import claim

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.observe.status import find_folder, query_status


def read_logs(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log. Raise RunGone."""
    file = find_folder(reference) / log.LOG_FILE
    return log.read_log_lines(file, lambda: not follow or query_status(reference).finished, tail)


def find_events_file(reference: Reference) -> Path | None:
    """Return the events file in the run folder, once it is there. Raise RunGone."""
    return log.find_events_file(find_folder(reference))


def request_cancel(reference: Reference) -> str:
    """Ask for the end of a run, which saves a checkpoint. Return why Slurm refused; else empty."""
    folder, job = find_folder(reference), reference["job"]
    (folder / claim.CANCELLED_FILE).touch()  # first: a job that begins now looks for it
    try:
        run_slurm("scancel", "--state=PENDING", job)
        run_slurm("scancel", "--batch", "--signal=TERM", job)
    except SlurmRefused as refusal:
        return refusal.text
    return ""


def list_outputs(reference: Reference) -> Iterable[Output]:
    """Return the complete checkpoints, then other files. Raise RunGone."""
    from robotrain.run_folder import outputs  # costs start-up

    return outputs.list_outputs(find_folder(reference))


def download_output(reference: Reference, output: Output, to: Path) -> None:
    """Copy one output atomically. Raise Rejected."""
    from robotrain.run_folder import outputs  # costs start-up

    outputs.download_output(output, to)


def describe_reference(reference: Reference) -> Mapping[str, str]:
    """Return the number of the job in Slurm."""
    return {"job": reference["job"]} if reference.get("job") else {}
