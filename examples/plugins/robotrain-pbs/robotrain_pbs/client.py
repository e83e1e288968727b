"""The commands of PBS: what they print, and what that means."""

import re
from collections.abc import Iterator, Mapping

from robotrain.plugin import (
    Messages,
    Problem,
    Refusal,
    Rejected,
    RunState,
    SchedulerCommands,
    Stage,
    Status,
    Suggestion,
    find_refusal,
)

make_problem = Messages(__file__)

COMMANDS = SchedulerCommands(
    engine="PBS",
    away_pattern=r"(?i)cannot connect|connection (refused|reset|timed)|timed out|end of file|batch protocol error"
    r"|errno=15010",
    ping="qstat -B",
)
STATES: dict[str, tuple[RunState, str]] = {
    "Q": ("pending", "it waits in the queue"),
    "H": ("pending", "it is held: `qrls` releases it"),
    "W": ("pending", "it waits for its start time"),
    "T": ("pending", "it is moved to another queue"),
    "M": ("pending", "it was moved to another server"),
    "R": ("running", ""),
    "B": ("running", ""),
    "S": ("running", "PBS has suspended it"),
    "U": ("running", "PBS has suspended it while its machine is used"),
    "E": ("running", "it has ended, and PBS cleans up"),
}
"""Letters of qstat; F and X are ends, and with any other one the run goes on."""
ENDS = {
    -29: "its time was up",
    -28: "it used more CPU time than it asked for",
    -27: "it used more memory than it asked for: --memory SIZE",
    -26: "it used more memory than it asked for: --memory SIZE",
    265: "it was killed, as when its time or its memory is used up",
    271: "it was stopped, as by qdel or when its time is up",
}
DELETED = "91"
"""The substate of a job that ended by qdel."""


def query_jobs(*names: str) -> list[dict[str, str]]:
    """Return the attributes of the jobs that PBS knows among these, or of all. Raise Rejected."""
    result = COMMANDS.run("qstat", "-x", "-f", *names)
    if "not configured to maintain job history" in result.stderr:
        result = COMMANDS.run("qstat", "-f", *names)
    if result.exit_code and not re.search("Unknown Job Id|has finished", result.stderr):
        raise Rejected([make_problem("pbs-failed", why=COMMANDS.quote(result.stderr))])
    return [parse_attributes(block) for block in re.split(r"(?m)^Job Id: ", result.stdout)[1:]]


def parse_attributes(block: str) -> dict[str, str]:
    """Return what `qstat -f` prints of one thing, its name as `name`: long values go on after a tab."""
    attributes = re.findall(r"(?m)^    (\S+) = (.*(?:\n\t.*)*)", block)
    return {"name": block.partition("\n")[0].strip(), **{key: value.replace("\n\t", "") for key, value in attributes}}


def describe_job(job: Mapping[str, str]) -> str:
    """Return the state of a job as one word and a reason: `Q Not Running: …`, `F 271`, `F 271 91`."""
    letter = job.get("job_state", "?")
    if letter in ("F", "X"):
        return f"F {job.get('Exit_status', '')} {job.get('substate', '')}".strip()
    return f"{letter} {job.get('comment', '') if letter in 'QHW' else ''}".strip()


def explain_state(text: str) -> Status:
    """Return what `describe_job` returned as a status."""
    letter, _, rest = text.partition(" ")
    if not letter:
        return Status(state="lost", reason="PBS no longer knows its job, and it left no outcome")
    if letter == "F":
        end = re.fullmatch(r"(-?\d*) ?(\d*)", rest)
        return explain_end(*end.groups()) if end else Status(state="failed", reason=f"it ended, and PBS says {rest}")
    state, reason = STATES.get(letter, ("running", f"PBS says {text}"))
    return Status(state=state, reason=f"{reason}: {rest}" if rest and letter in STATES else reason)


def explain_end(exit_status: str, substate: str) -> Status:
    """Return the status of an ended job: one that was deleted while it waited has no exit status."""
    if substate == DELETED or not exit_status:
        return Status(state="cancelled", reason="its job was deleted")
    code = int(exit_status)
    if code == 0:
        return Status(state="succeeded", exit_code=0)
    signal = f"signal {code - 256} ended it" if code > 256 else ""
    refused = f"PBS could not start it (exit status {code})" if code < 0 else ""
    reason = ENDS.get(code) or signal or refused or f"it ended with exit code {code}"
    return Status(state="failed", reason=reason, exit_code=code if 0 < code < 256 else None)


def find_queue_problems(queue: str) -> Iterator[Problem]:
    """Yield why a queue takes no job now; the default one if it is empty. Raise Rejected if PBS does not answer."""
    result = COMMANDS.run("qstat", "-Q", "-f", *([queue] if queue else []))
    if result.exit_code:
        yield explain_refusal(result.stderr, queue, Stage.PREFLIGHT)
    elif queue and parse_attributes(result.stdout).get("enabled") == "False":
        yield explain_refusal("Queue is not enabled", queue, Stage.PREFLIGHT)


LIST_QUEUES = Suggestion("qstat -Q -f", "shows the queues and their limits")
LATER = Suggestion("the same command", "later: it sends one job")
OTHER_GPUS = Suggestion("--gpus 0 --resource NAME=VALUE", "if GPUs are another resource here than ngpus")
DENIED = "Access to queue is denied|Unauthorized"
OVER_LIMITS = "violates queue and/or|Resource limit exceeds"
TOO_MANY = "would exceed|Maximum number of jobs"
NO_RESOURCE = "Unknown resource|Resource invalid|Illegal attribute or resource"
FULL = "you have as many jobs as you may have"
REFUSALS = (
    Refusal(pattern="Unknown queue", code="pbs-queue-unknown", title="PBS has no such queue", where="--queue"),
    Refusal(pattern="is not enabled", code="pbs-queue-closed", title="the queue takes no jobs now", where="--queue"),
    Refusal(pattern=DENIED, code="pbs-queue-denied", title="you may not use this queue", where="--queue"),
    Refusal(pattern="No default queue", code="pbs-queue-missing", title="PBS has no default queue", where="--queue"),
    Refusal(pattern="Invalid Account", code="pbs-account-refused", title="PBS refuses the account", where="--account"),
    Refusal(pattern=OVER_LIMITS, code="pbs-over-limits", title="it asks for more than the queue allows"),
    Refusal(pattern=TOO_MANY, code="pbs-too-many-jobs", title=FULL, transient=True, suggestions=(LATER,)),
    Refusal(
        pattern=NO_RESOURCE,
        code="pbs-resource-unknown",
        title="PBS does not know a resource",
        suggestions=(OTHER_GPUS,),
    ),
    Refusal(pattern="", code="pbs-refused", title="PBS refused the job"),
)
"""What qsub prints when it refuses a job; the last one fits everything."""


def explain_refusal(text: str, queue: str, stage: Stage = Stage.SUBMIT) -> Problem:
    """Return the problem of a job that qsub refused, in words; PBS is asked for what it accepts."""
    kind, _ = find_refusal(REFUSALS, text)  # type: ignore[misc]
    flag_value, fix = "", LIST_QUEUES
    if kind.where == "--queue":
        flag_value, fix = queue, Suggestion("--queue NAME", f"existing: {', '.join(read_queues(r'(?m)^Queue: (.+)'))}")
    elif kind.code == "pbs-over-limits":
        limits = ", ".join(read_queues(r"(?m)^    resources_max\.(\S+ = .*)", queue))
        fix = Suggestion("--time, --cpus, --gpus or --memory", f"the queue allows {limits or 'less'}")
    return kind.make_problem(flag_value, COMMANDS.quote(text), fix, stage=stage)


def read_queues(pattern: str, queue: str = "") -> list[str]:
    """Return what a pattern finds in the description of a queue, or of all; nothing if PBS does not answer."""
    try:
        return re.findall(pattern, COMMANDS.run("qstat", "-Q", "-f", *([queue] if queue else [])).stdout)
    except Rejected:
        return []
