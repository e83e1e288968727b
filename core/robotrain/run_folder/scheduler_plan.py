"""The plan of a scheduler's job: the words that send it, and the files of its run folder. Pure."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from robotrain_runtime.contract.document import Placement, format_document, parse_document
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

from robotrain.cluster.spec import SubmissionSpecFile, make_python_search
from robotrain.errors import Rejected, Stage
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, make_job_document
from robotrain.run_folder import log
from robotrain.run_folder.placement import make_placement

PAYLOAD_FILE, START_FILE, SEARCH_FILE = "payload.zip", "start.sh", "find-python.sh"
SCHEMA = 1
TOKEN_LENGTH = 16
START_SCRIPT = """\
# The first process of the job: it becomes the runtime, which gets the signals of the scheduler.
cd "$(dirname "$0")" || exit 1
{become}
"""


@lazy_dataclass(frozen=True, kw_only=True)
class SchedulerJob:
    """A job as a scheduler gets it."""

    schema: int = SCHEMA
    run: str
    """The name of the job."""
    folder: str
    """The run folder, in which the submit command is started."""
    token: str
    """What marks the job, so that it is found again: a digest of all that is sent."""
    program: tuple[str, ...]
    """The program that the scheduler starts on the node, and its words."""
    output: str
    """The file for what the program prints before the log begins."""
    words: tuple[str, ...] = ()
    """The words after the submit command."""


def make_token(*sent: object) -> str:
    """Return what tells a plan from every other one of the same run: a digest of what is sent."""
    return hashlib.sha256(repr(sent).encode()).hexdigest()[:TOKEN_LENGTH]


def format_become_python(search: str, payload: str, *words: str) -> str:
    """Return the lines with which a script in the run folder becomes a Python of the node, with the payload.

    :param search: the program that finds a Python.
    :param words: those of the Python, as a shell reads them.
    """
    return (
        f'export PYTHONPATH="$PWD/{payload}" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1\n'
        f'exec /bin/sh "{search}" {" ".join(words)}'
    )


def make_spec_file(platform: str) -> SubmissionSpecFile[SchedulerJob]:
    """Return the file of the job in a plan."""
    required = (log.JOB_FILE, START_FILE, SEARCH_FILE, PAYLOAD_FILE)
    return SubmissionSpecFile(SchedulerJob, f"{platform}.json", SCHEMA, platform, required)


def read_placement(plan: Plan) -> Placement:
    """Return where the job of a plan works. Raise Rejected if the plan is damaged."""
    try:
        return parse_document(plan.files[log.JOB_FILE].decode()).placement
    except (LookupError, ValueError) as error:
        problem = make_spec_file(plan.platform).make_damaged_plan_problem(Stage.PREFLIGHT, f"{error}.")
        raise Rejected([problem]) from None


def render_plan(
    job: Job,
    settings: Any,
    run: str,
    payload: Payload,
    container_plugins: Mapping[str, str],
    *,
    platform: str,
    job_variable: str,
    output_file: str,
    make_words: Callable[[SchedulerJob], Sequence[str]],
) -> Plan:
    """Return the plan of a job in a run folder.

    :param settings: a `SchedulerSettings`.
    :param job_variable: the environment variable with the name of the job.
    :param make_words: returns the words after the submit command.
    """
    folder = f"{settings.runs_dir}/{run}"
    placement = make_placement(job, settings, folder, cache=settings.cache_dir, tracking_uri=settings.tracking_uri)
    document = format_document(
        make_job_document(job, run=run, platform=platform, container_plugins=container_plugins, placement=placement)
    )
    search = make_python_search(job.profile.container.interpreters, "this node", "install one, or ask for one")
    runtime = ("-m robotrain_runtime run", log.JOB_FILE, f'--once "${job_variable}" --log {log.LOG_FILE} </dev/null')
    start = START_SCRIPT.format(become=format_become_python(SEARCH_FILE, log.PAYLOAD_FOLDER, *runtime))
    program, output = ("/bin/sh", f"{folder}/{START_FILE}"), f"{folder}/{output_file}"
    sent = SchedulerJob(run=run, folder=folder, token="", program=program, output=output)
    sent = replace(sent, token=make_token(document, payload.digest, search, start, *make_words(sent)))
    spec = make_spec_file(platform)
    files = {
        spec.name: spec.dump(replace(sent, words=tuple(make_words(sent)))),
        log.JOB_FILE: document.encode(),
        START_FILE: start.encode(),
        SEARCH_FILE: search.encode(),
        PAYLOAD_FILE: payload.archive,
    }
    return Plan(platform=platform, run=run, job=job, spec=spec.name, files=files, shown=(spec.name, log.JOB_FILE))
