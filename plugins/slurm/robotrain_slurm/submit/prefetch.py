"""What a job needs, fetched ahead where it is sent into the cache that the nodes share: for nodes without a network.

The runtime that is sent with the job does it. What it fetched stays when it is interrupted, and is not fetched again.
"""

import base64
import shlex
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO

from robotrain.cluster.outputs import print_progress
from robotrain.errors import NotSubmitted, Problem, Rejected, Stage
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.model.plan import Plan
from robotrain.redaction import escape_controls, redact
from robotrain.run_folder.run_archive import pack_files
from robotrain.run_folder.scheduler_plan import PAYLOAD_FILE, SEARCH_FILE, SchedulerJob
from robotrain.run_folder.transport import Transport
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.contract.event import Download, Note, StageEvent
from robotrain_runtime.contract.staged_data import STAGED_FILE, parse_staged

from robotrain_slurm.spec.submission_spec import SUBMISSION

make_problem = Messages(__file__)

DAYS = 7 * 86400.0
SIGNALS = 128
STAGED_MARK = "robotrain-staged "
FETCH = f"""\
trap 'exit 143' TERM
folder=$(mktemp -d) || exit 1
trap 'code=$?; rm -rf "$folder"; end_answer $code' EXIT
cd "$folder" && tar -xmof - || exit 1
export PYTHONPATH="$folder/payload" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
for job in {{folders}}; do
  cd "$folder/$job" || exit 1
  {{python}} -m robotrain_runtime fetch "$PWD/{DOCUMENT_FILE}" --to "$PWD" </dev/null || exit
  staged=$(base64 -w 0 {STAGED_FILE}) || exit 1
  printf '\\n%s%s\\n' '{STAGED_MARK}' "$staged"
done
"""
PROGRESS_SECONDS = 5.0
ACTIONS: Mapping[str, str] = {
    "preflight": "checking that the job can read its data",
    "data": "fetching the data",
    "merge": "preparing the data",
}
"""What is told of a stage; of the environment, the lines of its build."""

StagedFiles = Mapping[str, bytes]
"""The content of each document's `staged.json`, by the document's path in the plan."""


def fetch_inputs(transport: Transport, plan: Plan) -> StagedFiles:
    """Fetch what each job of a plan needs. Raise Rejected if that fails, NotSubmitted after Ctrl-C."""
    jobs = SUBMISSION.load(plan, Stage.SUBMIT).jobs
    python = "/bin/sh ../find-python.sh" if transport.host else shlex.quote(sys.executable)
    folders = " ".join(str(number) for number, _ in enumerate(jobs))
    watcher = _Watcher()
    try:
        result = transport.run(
            FETCH.replace("{python}", python).replace("{folders}", folders), _pack(plan, jobs), DAYS, watcher.receive
        )
    except KeyboardInterrupt:  # what was fetched stays in the cache, and the next try goes on with it
        raise NotSubmitted from None
    if code := result.exit_code:
        exit_sentence = f"The process ended with {code if code < SIGNALS else SIGNALS - code}"
        last_line = result.stderr.strip().rpartition("\n")[2].removeprefix("error: ") if code < SIGNALS else ""
        raise Rejected([_make_failure(". ".join(watcher.errors) or last_line or exit_sentence)])
    return {job.document: staged_bytes for job, staged_bytes in zip(jobs, watcher.staged, strict=True)}


def _pack(plan: Plan, jobs: Sequence[SchedulerJob]) -> bytes:
    with zipfile.ZipFile(BytesIO(plan.files[PAYLOAD_FILE])) as payload:
        files = {f"payload/{path}": payload.read(path) for path in payload.namelist() if not path.endswith("/")}
    documents = {f"{number}/{DOCUMENT_FILE}": plan.files[job.document] for number, job in enumerate(jobs)}
    return pack_files(files | documents | {SEARCH_FILE: plan.files[SEARCH_FILE]})


def place_staged_files(staged_files: StagedFiles) -> StagedFiles:
    """Return what says to jobs where their data is, by its path in the run folder."""
    return {str(Path(path).with_name(STAGED_FILE)): staged_bytes for path, staged_bytes in staged_files.items()}


def prepare_plan(transport: Transport, plan: Plan) -> Iterator[str]:
    """Fetch what a plan needs; yield a line for each source, with its folder. Raise as `fetch_inputs`."""
    mounts = [mount for staged_bytes in fetch_inputs(transport, plan).values() for mount in parse_staged(staged_bytes)]
    yield from dict.fromkeys(f"{redact(mount.uri)} {mount.folder}" for mount in mounts)


class _Watcher:
    """Tells the user what the events of the runtime say, and keeps texts of errors and what it staged."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.staged: list[bytes] = []
        self._next_time = time.monotonic() + PROGRESS_SECONDS

    def receive(self, output: IO[bytes]) -> bytes:
        """Read lines to their end."""
        for line_bytes in output:
            line = line_bytes.decode(errors="replace").rstrip()
            if line.startswith(STAGED_MARK):
                self.staged.append(base64.b64decode(line.removeprefix(STAGED_MARK)))
            else:
                self._report_line(line)
        return b""

    def _report_line(self, output_line: str) -> None:
        record = event.parse_event(output_line)
        match record.event if record else None:
            case StageEvent(name=name, state="started") if name in ACTIONS:
                print_progress(f"{ACTIONS[name]} …")
            case Download(done=done, total=total) if time.monotonic() >= self._next_time:
                self._next_time = time.monotonic() + PROGRESS_SECONDS
                print_progress(f"  {format_size(done)} of {format_size(total)}")
            case Note(level="error", text=text):
                self.errors.append(text.rstrip("."))
            case Note(text=text):
                print_progress(escape_controls(text))
            case None if output_line:
                print_progress(escape_controls(redact(output_line)))


def _make_failure(reason: str) -> Problem:
    return make_problem("slurm-not-staged", why=redact(reason, max_length=1000).rstrip("."))
