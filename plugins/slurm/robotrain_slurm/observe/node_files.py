"""What a run without a shared disk leaves: its log on the node, and what it published."""

import subprocess
from collections.abc import Iterator

from robotrain.errors import Rejected, make_problem
from robotrain.model.run import Reference, RunGone
from robotrain.run_folder import log

from robotrain_slurm.client.commands import make_environment, make_missing_command_problem
from robotrain_slurm.observe.own_record import read_own_record
from robotrain_slurm.observe.status import find_folder, find_job, query_jobs
from robotrain_slurm.observe.step_references import read_spec

PREFIX = "[slurm] "
STOP_SECONDS = 5.0


def is_on_node(reference: Reference) -> bool:
    """Return whether a run works in a folder that only its node sees. Raise RunGone."""
    try:
        return read_spec(reference).storage == "node"
    except RunGone:
        raise
    except Rejected:  # its spec is damaged
        return False


def read_node_log(reference: Reference, follow: bool, tail: int | None) -> Iterator[str]:
    """Yield the log of a running job, which a step of it reads on the node; else where the log is.

    Raise RunGone, Rejected.
    """
    folder = find_folder(reference)
    job = find_job(reference, read_own_record(folder), query_jobs([reference]))
    place = f"{folder / log.LOG_FILE}, on the disk of its node"
    if job is None or job.state != "RUNNING":
        state = "has not begun" if job and job.state == "PENDING" else "does not run now"
        yield f"{PREFIX}the job {state}: its log is {place}{f' {job.nodes}' if job and job.nodes else ''}"
        return
    options = ["--follow=name", "--retry", "--quiet"] if follow else []
    lines = ["--lines", "+1" if tail is None else str(tail)]
    yield from _run_step(job.id, ["tail", *lines, *options, str(folder / log.LOG_FILE)])


def _run_step(job: str, command: list[str]) -> Iterator[str]:
    """Yield what a command prints on the node of a running job; it ends with the job."""
    words = [f"--jobid={job}", "--overlap", "--nodes=1", "--ntasks=1", "--quiet", "--input=none", "--chdir=/"]
    try:
        process = subprocess.Popen(
            ["srun", *words, *command],
            env=make_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise Rejected([make_missing_command_problem("srun", f"{error.strerror or error}.")]) from None
    assert process.stdout is not None
    try:
        for line in process.stdout:
            yield line.rstrip("\n")
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def make_published_error(reference: Reference) -> Rejected:
    """Return the error for what needs the files of a run: they are where it published them."""
    title = f"the files of {reference['run']} are on the disk of its node, and where it published them"
    why = "It has --storage node: this machine does not see its folder."
    ways = ("--register-checkpoint MODEL", f"robotrain outputs {reference['run']}")
    return Rejected([make_problem("slurm-files-on-node", title, "", "", why, *ways)])
