"""What a run leaves in its folder: log, events, outputs; and how it is cancelled."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from robotrain.model.run import Output, Reference
from robotrain.run_folder import log
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.step_output import STEP_FILE

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.observe.pipeline_status import query_status
from robotrain_slurm.observe.status import find_folder
from robotrain_slurm.observe.step_references import is_whole, list_parts, select_step
from robotrain_slurm.spec.submission_spec import HANDOVER_FOLDER, JOBS_KEY, TRIALS_KEY


def read_logs(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log. Raise RunGone."""
    file = find_folder(select_step(reference)) / log.LOG_FILE
    return log.read_log_lines(file, lambda: not follow or query_status(reference).finished, tail)


def find_events_file(reference: Reference) -> Path | None:
    """Return the events file in the run folder, once it is there. Raise RunGone."""
    return log.find_events_file(find_folder(select_step(reference)))


def request_cancel(reference: Reference) -> str:
    """Ask for the end of a run, which saves a checkpoint. Return why Slurm refused; else empty."""
    find_folder(reference)
    parts = [*list_parts(reference).values()] if is_whole(reference) else [select_step(reference)]
    for part in parts:
        Path(part["folder"], claim.CANCELLED_FILE).touch()  # first: a job that begins now looks for it
    jobs = [reference["job"]] if TRIALS_KEY in reference and is_whole(reference) else [part["job"] for part in parts]
    try:
        run_slurm("scancel", "--state=PENDING", *jobs)
        run_slurm("scancel", "--batch", "--signal=TERM", *jobs)
    except SlurmRefused as refusal:
        return refusal.text
    return ""


def list_outputs(reference: Reference) -> Iterable[Output]:
    """Return the complete checkpoints, then other files. Raise RunGone."""
    from robotrain.run_folder import outputs  # costs start-up

    return outputs.list_outputs(find_folder(select_step(reference)))


def download_output(reference: Reference, output: Output, to: Path) -> None:
    """Copy one output atomically. Raise Rejected."""
    from robotrain.run_folder import outputs  # costs start-up

    outputs.download_output(output, to)


def has_step_output(reference: Reference) -> bool:
    """Return whether a later pipeline can read what a step handed over."""
    return Path(select_step(reference)["folder"], HANDOVER_FOLDER, STEP_FILE).is_file()


def describe_reference(reference: Reference) -> Mapping[str, str]:
    """Return the number of the job in Slurm."""
    shown = {name: reference.get(name, "") for name in ("job", JOBS_KEY)}
    return {name: text for name, text in shown.items() if text}
