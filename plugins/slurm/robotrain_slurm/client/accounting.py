"""The accounting database of Slurm, as `sacct` prints it: it knows jobs long after the queue has forgotten them."""

import signal
from collections.abc import Iterable

from robotrain.errors import Rejected
from robotrain.run_folder.transport import LostAnswer, Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.queue import QueuedJob, clear_empty, parse_seconds

FIELDS = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "JobName", "Comment")
SECONDS = 10.0


def query_accounting(transport: Transport, jobs: Iterable[str]) -> list[QueuedJob] | None:
    """Return jobs; of one that was requeued, its last start.

    None if the cluster has no accounting, its database is away, or this machine has no sacct. Raise LostAnswer.

    :param jobs: their numbers, as sbatch printed them.
    """
    try:
        job_options = f"--jobs={','.join(jobs)}", f"--format={','.join(FIELDS)}"
        output = run_slurm(
            transport, "sacct", "--noheader", "--parsable2", "--allocations", *job_options, seconds=SECONDS
        )
    except LostAnswer:
        raise
    except (SlurmRefused, Rejected):
        return None
    rows = (row.split("|", len(FIELDS) - 1) for row in output.splitlines())
    return [_make_job(dict(zip(FIELDS, row, strict=True))) for row in rows if len(row) == len(FIELDS)]


def _make_job(row: dict[str, str]) -> QueuedJob:
    fields = {name: clear_empty(field) for name, field in row.items()}
    return QueuedJob(
        id=fields["JobID"],
        name=fields["JobName"],
        comment=fields["Comment"],
        state=fields["State"],
        reason="",  # that of sacct is why it waited once
        start=parse_seconds(fields["Start"]),
        end=parse_seconds(fields["End"]),
        nodes=fields["NodeList"],
        exit_code=_parse_exit_code(fields["ExitCode"]),
    )


def _parse_exit_code(exit_text: str) -> int | None:
    """Return the exit code of `CODE:SIGNAL`, as a shell tells it; None for 0:125, which is no signal."""
    code, _, number = exit_text.partition(":")
    if not (code.isdecimal() and number.isdecimal()):
        return None
    if int(code) or not int(number):
        return int(code)
    return 128 + int(number) if int(number) < signal.NSIG else None
