"""What a job needs, fetched on this machine into the cache that the nodes share: for nodes without a network.

The runtime that is sent with the job does it. What it fetched stays when it is interrupted, and is not fetched again.
"""

import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from robotrain.cluster.outputs import print_progress
from robotrain.errors import NotSubmitted, Problem, Rejected, Stage
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.model.plan import Plan
from robotrain.redaction import redact
from robotrain_runtime.contract import child_python, event
from robotrain_runtime.contract.event import Download, Note, StageEvent
from robotrain_runtime.contract.files import write_atomically
from robotrain_runtime.contract.staged_data import STAGED_FILE, parse_staged
from robotrain_runtime.process.stop import stop_process

from robotrain_slurm.spec.submission_spec import DOCUMENT_FILE, PAYLOAD_FILE, SUBMISSION

make_problem = Messages(__file__)

STOP_SECONDS = 30.0
PROGRESS_SECONDS = 5.0
ACTIONS: Mapping[str, str] = {
    "preflight": "checking that the job can read its data",
    "data": "fetching the data",
    "merge": "preparing the data",
}
"""What is told of a stage; of the environment, the lines of its build."""

StagedFiles = Mapping[str, bytes]
"""The content of each document's `staged.json`, by the document's path in the plan."""


def fetch_inputs(plan: Plan) -> StagedFiles:
    """Fetch what each job of a plan needs. Raise Rejected if that fails, NotSubmitted after Ctrl-C."""
    staged: dict[str, bytes] = {}
    jobs = SUBMISSION.load(plan, Stage.SUBMIT).jobs
    with tempfile.TemporaryDirectory(prefix="robotrain-") as temporary:
        payload = Path(temporary, "payload")
        zipfile.ZipFile(BytesIO(plan.files[PAYLOAD_FILE])).extractall(payload)
        for number, job in enumerate(jobs):
            folder = Path(temporary, str(number))
            folder.mkdir()
            (folder / DOCUMENT_FILE).write_bytes(plan.files[job.documents[0]])
            _run_fetch(folder, payload)
            content = (folder / STAGED_FILE).read_bytes()
            staged |= dict.fromkeys(job.documents, content)  # trials have the same inputs
    return staged


def write_staged_files(folder: Path, staged: StagedFiles) -> None:
    """Write to a run folder where the data of its jobs is. Raise OSError."""
    for path, content in staged.items():
        write_atomically((folder / path).with_name(STAGED_FILE), content)


def prepare_plan(plan: Plan) -> Iterator[str]:
    """Fetch what a plan needs; yield a line for each source, with its folder. Raise as `fetch_inputs`."""
    mounts = [mount for content in fetch_inputs(plan).values() for mount in parse_staged(content)]
    yield from dict.fromkeys(f"{redact(mount.uri)} {mount.folder}" for mount in mounts)


def _run_fetch(folder: Path, payload: Path) -> None:
    """Run the runtime's `fetch` for the document in `folder`. Raise Rejected, NotSubmitted."""
    arguments = ["fetch", str(folder / DOCUMENT_FILE), "--to", str(folder)]
    with (
        (folder / "errors.txt").open("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "robotrain_runtime", *arguments],
            cwd=child_python.NEUTRAL_FOLDER,
            env=child_python.make_import_environ([payload]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
        ) as process,
        _ended_on_interrupt(process),
    ):
        assert process.stdout is not None
        notes = _show_progress(process.stdout)
        if code := process.wait():
            errors.seek(0)
            last = errors.read().strip().rpartition("\n")[2].removeprefix("error: ")
            why = ". ".join(notes) or last or f"The process ended with {code}"
            raise Rejected([_make_failure(why)])


@contextmanager
def _ended_on_interrupt(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the process when the block is interrupted: it leaves a cache that the next try goes on with."""
    try:
        yield
    except KeyboardInterrupt:
        stop_process(process, STOP_SECONDS)
        raise NotSubmitted from None
    except BaseException:
        stop_process(process, STOP_SECONDS)
        raise


def _show_progress(lines: Iterable[str]) -> list[str]:
    """Tell the user what the events say. Return the texts of errors."""
    errors, next_time = [], time.monotonic() + PROGRESS_SECONDS
    for line in lines:
        record = event.parse_event(line.rstrip("\n"))
        match record.event if record else None:
            case StageEvent(name=name, state="started") if name in ACTIONS:
                print_progress(f"{ACTIONS[name]} …")
            case Download(done=done, total=total) if time.monotonic() >= next_time:
                next_time = time.monotonic() + PROGRESS_SECONDS
                print_progress(f"  {format_size(done)} of {format_size(total)}")
            case Note(level="error", text=text):
                errors.append(text.rstrip("."))
            case Note(text=text):
                print_progress(text)
            case None:
                print_progress(redact(line.rstrip()))
    return errors


def _make_failure(why: str) -> Problem:
    return make_problem("slurm-not-staged", why=redact(why, max_length=1000).rstrip("."))
