"""The status of a run, and why a workflow waits or failed, in one sentence.

Sentences begin small and have no full stop: they stand behind the name and the state of a run.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping

from robotrain.errors import Rejected
from robotrain.model.run import Reference, Status
from robotrain_runtime.contract.event import Outcome

from robotrain_osmo.client import command
from robotrain_osmo.client import stream as client_stream
from robotrain_osmo.client.stream import CommandStream
from robotrain_osmo.observe import logs, workflow_state
from robotrain_osmo.observe.workflow_state import WorkflowState


def query_status(reference: Reference) -> Status:
    """The state, and why. Raises RunGone, Rejected."""
    told = workflow_state.query_workflow(reference)
    return Status(
        state=told.state,
        reason=_explain_status(reference, told),
        exit_code=told.exit_code if told.is_finished else None,
        started=told.started,
        ended=told.ended if told.is_finished else None,
    )


def _explain_status(reference: Reference, workflow: WorkflowState) -> str:
    if not workflow.is_finished:
        stuck = workflow.state == "pending" and (workflow.queued_seconds or 0.0) >= MIN_WAIT_SECONDS
        return explain_waiting(workflow, query_blocking_event(reference) if stuck else "")
    if workflow.state == "succeeded":
        return ""
    if workflow.state == "cancelled":
        return explain_cancellation(workflow)
    own = _explain_by_log(reference, workflow) if is_run_failure(workflow) else ""
    return own or explain_failure(workflow)


def _explain_by_log(reference: Reference, workflow: WorkflowState) -> str:
    """Why the run itself says that it failed; empty when it does not, or cannot be heard."""
    try:
        outcome = logs.read_outcome(reference)
    except Rejected:  # the state is known all the same
        return ""
    return explain_outcome(workflow, outcome) if outcome else ""


MIN_WAIT_SECONDS = 60.0
"""Seconds in the queue, before which waiting needs no other reason."""
EVENTS_START_SECONDS = 2.5
"""Until the command has begun to print."""
EVENTS_QUIET_SECONDS = 0.5
"""Without a line, until all is said for now: the command itself goes on to the workflow's end."""
EVENTS_SECONDS = 3.0
"""For all of it: whoever asks for many runs waits for this one, too."""
_GOOD_EVENT = r"(?i)successfully (?:assigned|pulled)|already present on machine|started container"
_BAD_EVENT = r"(?i)\bfail|insufficient|unschedulable|unbound|back-?off|\berror|errimage|denied|exceeded|not found"
_VAGUE_EVENT = r"(?i)back-?off|errimagepull"
"""That something failed, and not why: an event before it says that."""


def query_blocking_event(reference: Reference) -> str:
    """The event that says why the workflow is not further; empty when none does, or OSMO does not tell."""
    try:
        stream = client_stream.start_stream(
            workflow_state.get_command(reference), "workflow", "events", reference.get("workflow", "")
        )
    except command.CommandStartError:  # the state is known all the same
        return ""
    with stream:
        return find_blocking_event(
            logs.parse_text(raw) for raw in _read_current_events(stream) if logs.parse_timestamp(raw)
        )


def find_blocking_event(events: Iterable[str]) -> str:
    """Of events, oldest first, the newest that says what is wrong, unless that is over."""
    found = ""
    for text in events:
        if re.search(_GOOD_EVENT, text):
            found = ""
        elif re.search(_BAD_EVENT, text) and (
            not found or re.search(_VAGUE_EVENT, found) or not re.search(_VAGUE_EVENT, text)
        ):
            found = text
    return found


def _read_current_events(stream: CommandStream) -> Iterator[str]:
    """Each line that is there."""
    until, patience = time.monotonic() + EVENTS_SECONDS, EVENTS_START_SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            line = stream.read_line(min(patience, left))
        except EOFError:
            return
        if line is None:
            return
        patience = EVENTS_QUIET_SECONDS
        yield line


HOUR = 3600.0
MAX_NAMED_TIMEOUT = 48 * HOUR
"""A longer one is OSMO's own, and nobody waits for it."""
_WAIT_STEPS = ((24 * HOUR, "a day"), (6 * HOUR, "6 h"), (2 * HOUR, "2 h"), (HOUR, "1 h"), (1800.0, "30 min"),
          (600.0, "10 min"), (120.0, "2 min"))  # fmt: skip
RETRY_HINT = "`robotrain resubmit` may succeed, and `robotrain resume` where it published a checkpoint"

FAILURE_REASONS: Mapping[str, str] = {
    "FAILED_SUBMISSION": "OSMO did not take the workflow",
    "FAILED_SERVER_ERROR": f"OSMO itself failed, not the job: {RETRY_HINT}",
    "FAILED_BACKEND_ERROR": f"the cluster failed, or the machine was lost, not the job: {RETRY_HINT}",
    "FAILED_START_ERROR": "its container could not be started: look at --image, and at the events "
    "(`osmo workflow events`)",
    "FAILED_START_TIMEOUT": "it did not start in time: a large or unreachable --image, or a secret that is not there "
    "(`osmo workflow events`)",
    "FAILED_PREEMPTED": "a job of higher priority took its machine, and it was not to be tried again: `robotrain "
    "resume` where it published a checkpoint, --priority HIGH, or a pool that retries",
    "FAILED_UPSTREAM": "something that it waits for failed",
}
"""By OSMO's word for the failure."""

OSMO_EXIT_CODES: Mapping[int, str] = {
    137: "memory ran out (exit code 137): more --memory, a smaller --batch-size or fewer --num-workers",
    256: "OSMO could not prepare the container (exit code 256): `osmo workflow events` says more",
    257: "OSMO could not prepare the container (exit code 257): `osmo workflow events` says more",
    2002: "OSMO's own part of the pod failed (exit code 2002): send it again",
    2010: "OSMO could not download an input (exit code 2010): look that the address is right (`osmo data list`), and "
    "that the jobs' identity or data credential may read it",
    2011: "OSMO could not mount an input (exit code 2011)",
    2012: "OSMO could not upload what the run left (exit code 2012): the jobs' identity must write to --publish-url",
    2013: "OSMO may not read or write an address of the workflow (exit code 2013): give the jobs' identity the role "
    "Storage Blob Data Contributor, or set a DATA credential for that storage",
    2014: "OSMO is not authorized at an address of the workflow (exit code 2014): the DATA credential for that storage "
    "is missing, wrong or too old (`osmo credential list`)",
    3000: "something that it waits for failed (exit code 3000)",
    3001: f"the cluster failed, not the job (exit code 3001): {RETRY_HINT}",
    3002: f"OSMO itself failed, not the job (exit code 3002): {RETRY_HINT}",
    3003: FAILURE_REASONS["FAILED_START_ERROR"],
    3005: FAILURE_REASONS["FAILED_START_TIMEOUT"],
    3006: FAILURE_REASONS["FAILED_PREEMPTED"],
    4000: "OSMO does not know why (exit code 4000): `osmo workflow events` may",
}
"""By the exit code of the task, where the word alone says nothing."""

RUNTIME_EXIT_CODES: Mapping[int, str] = {
    1: "it failed (exit code 1)",
    2: "the job document cannot be used there (exit code 2)",
    4: "the look before the start found that it would fail (exit code 4)",
    75: f"its surroundings failed, not the job (exit code 75): {RETRY_HINT}",
    130: "it was interrupted (exit code 130)",
    139: "a program crashed (exit code 139, a segmentation fault)",
    143: "it was stopped from outside (exit code 143)",
}
"""Exit codes of the run itself, whose log says more."""


def explain_waiting(workflow: WorkflowState, event: str = "") -> str:
    """Why a run that has not ended is not further; empty while there is nothing to say. event: the one that tells."""
    again = f"its machine was taken away, and it was started again (retry {workflow.retry})" if workflow.retry else ""
    if not workflow.is_known:
        return f"OSMO calls it {workflow.workflow_status or 'nothing'}, a state that this robotrain does not know"
    if workflow.state == "running":
        return again
    pending = (
        _explain_image_failure(event)
        if re.search("(?i)image", event)
        else _append_message(_explain_pending(workflow), event)
    )
    return f"{again}: {pending}" if again else pending


def explain_failure(workflow: WorkflowState) -> str:
    """Why it failed, by OSMO's word, then by its exit code, then in OSMO's own words."""
    word, code = workflow.failure, workflow.exit_code
    if word == "FAILED_IMAGE_PULL":
        return _explain_image_failure(workflow.message)
    if word == "FAILED_EVICTED" or code == 3004:
        return _explain_eviction(workflow.message)
    if word == "FAILED_EXEC_TIMEOUT":
        again = "`robotrain resume`, or `resubmit`, with a larger --exec-timeout"
        return f"it ran longer than it may{_format_limit(workflow.exec_timeout)}: {again}"
    if word == "FAILED_QUEUE_TIMEOUT":
        limit = _format_limit(workflow.queue_timeout)
        return f"no machine was free in time{limit}: another --pool or --gpu-platform, or a larger --queue-timeout"
    if word in FAILURE_REASONS:
        return _append_message(FAILURE_REASONS[word], workflow.message)
    if word != "FAILED":
        return _append_message(f"OSMO calls it {word}", workflow.message)
    return _explain_exit_code(code, workflow.message)


def explain_cancellation(workflow: WorkflowState) -> str:
    """Who cancelled it."""
    return (
        f"{workflow.cancelled_by} cancelled it"
        if workflow.cancelled_by and workflow.cancelled_by.lower() != "osmo"
        else "it was cancelled"
    )


def is_run_failure(workflow: WorkflowState) -> bool:
    """Whether it failed by itself, so that its log knows better why."""
    return workflow.failure == "FAILED" and (workflow.exit_code is None or 0 < workflow.exit_code < 256)


def explain_outcome(workflow: WorkflowState, outcome: Outcome) -> str:
    """What the run itself says of its failure; empty where that is about another try of it."""
    if outcome.state != "failed" or not outcome.reason or workflow.exit_code not in (None, outcome.exit_code):
        return ""
    said = _redact_text(outcome.reason, longest=800)
    known = OSMO_EXIT_CODES.get(workflow.exit_code or 0)
    return f"{known} ({said})" if known else said


def _explain_pending(workflow: WorkflowState) -> str:
    if workflow.task_status == "INITIALIZING":
        return "its image is being pulled and its inputs are being fetched"
    since = _describe_wait(workflow.queued_seconds)
    if workflow.task_status in ("SUBMITTING", "WAITING", "PROCESSING"):
        return f"OSMO is preparing it{since}"
    limit = workflow.queue_timeout
    until = (
        f"; OSMO gives up after {_format_duration(limit)} (--queue-timeout)"
        if limit and limit < MAX_NAMED_TIMEOUT
        else ""
    )
    return f"no machine of the pool is free for it yet{since}{until}"


def _describe_wait(seconds: float | None) -> str:
    """In steps, so that what waits is not told anew with every look."""
    step = next((text for least, text in _WAIT_STEPS if (seconds or 0.0) >= least), "")
    return f", for more than {step}" if step else ""


def _explain_image_failure(message: str) -> str:
    found = re.search(r"image \\?\"([^\"\\\s]+)", message)
    name = f" {_redact_text(found[1])}" if found else ""
    why = " and that the pool may read its registry (`osmo credential set NAME --type REGISTRY --payload-file …`)"
    said = _append_message("", message)
    return f"its image{name} could not be pulled: look that --image is right,{why}{said}"


def _explain_eviction(message: str) -> str:
    if re.search(r"(?i)ephemeral|disk|storage", message):
        return _append_message("its machine ended it for want of disk (evicted, 3004): more --storage", message)
    if re.search(r"(?i)memory", message):
        return _append_message("its machine ended it for want of memory (evicted, 3004): more --memory", message)
    return _append_message(
        "its machine ended it (evicted, 3004), most often for want of disk or memory: more --storage or --memory",
        message,
    )


def _explain_exit_code(code: int | None, message: str) -> str:
    if code is None:
        return _append_message("it failed", message)
    if code in OSMO_EXIT_CODES:
        return OSMO_EXIT_CODES[code]
    if code in RUNTIME_EXIT_CODES:
        return _append_message(RUNTIME_EXIT_CODES[code], message)
    if 2020 <= code <= 2040:
        return _append_message(f"the pod lost its connection to OSMO (exit code {code}): {RETRY_HINT}", message)
    return _append_message(f"it ended with exit code {code}", message)


def _append_message(sentence: str, message: str) -> str:
    """The sentence and, in brackets, what OSMO said, where that says anything more than an exit code."""
    said = _redact_text(" ".join(message.split()).rstrip(". "))
    if not said or re.fullmatch(r"Failure reason: ?-? ?Exit code \d+ due to [\w. -]+ failure", said):
        return sentence
    return f"{sentence} (OSMO: {said})"


def _format_limit(seconds: float | None) -> str:
    return f", {_format_duration(seconds)}" if seconds else ""


def _format_duration(seconds: float) -> str:
    from robotrain.model.amounts import format_duration

    return format_duration(seconds)


def _redact_text(text: str, longest: int = 300) -> str:
    from robotrain.redaction import redact

    return redact(text, max_length=longest)
