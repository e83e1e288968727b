"""Find the workflow of an interrupted submit: the submit lock, the note of earlier workflows, OSMO's list.

An equal job of another state folder has the same name, and the same text.
"""

import contextlib
import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.store import files, records

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import UNREACHABLE_CODES, CommandFailed
from robotrain_osmo.spec import submission_spec
from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec

LOCK_FILE = "osmo.sending"
SETTLE_SECONDS = 5.0
"""What OSMO may need to list what reached it, when nobody heard its answer."""
PATIENCE_SECONDS = 330.0
POLL_SECONDS = 0.1


class SubmitInProgress(Unanswered):
    """Another command may hand the workflow over at this moment: nobody knows what will be there."""

    def __init__(self) -> None:
        title = "an `osmo` command of an earlier submit is still at it"
        super().__init__([Problem(code="osmo-still-sending", stage=Stage.SUBMIT, title=title)])


@contextlib.contextmanager
def hold_submit_lock(run: str) -> Iterator[tuple[int, ...]]:
    """Hold the lock of a run; it is given to what is started with these files, none where a disk knows no locks.

    Raises StillSending when another command holds it.
    """
    with contextlib.ExitStack() as stack:
        handles: tuple[int, ...] = ()
        with contextlib.suppress(OSError):
            _get_lock_path(run).parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(_get_lock_path(run), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, handle)
            _acquire_lock(run, handle)
            handles = (handle,)
        try:
            yield handles
        finally:
            with contextlib.suppress(OSError):
                os.utime(_get_lock_path(run))  # from now on nothing more is sent


def wait_for_submit(run: str) -> None:
    """Return when no command can send anything of the run any more. Raises Rejected when that takes long."""
    until, said = time.monotonic() + PATIENCE_SECONDS, False
    while _is_locked(run):
        if time.monotonic() > until:
            raise Rejected([_make_lock_problem(run)])
        if not said:
            print("an `osmo` command of an earlier submit is still at it: waiting for its end", file=sys.stderr)
            said = True
        time.sleep(POLL_SECONDS)


def get_settle_seconds(run: str) -> float:
    """Seconds until OSMO would list what was sent last."""
    try:
        return max(0.0, _get_lock_path(run).stat().st_mtime + SETTLE_SECONDS - time.time())
    except OSError:
        return 0.0


def _acquire_lock(run: str, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SubmitInProgress from None


def _is_locked(run: str) -> bool:
    try:
        handle = os.open(_get_lock_path(run), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _get_lock_path(run: str) -> Path:
    return records.get_run_folder(run) / LOCK_FILE


def _make_lock_problem(run: str) -> Problem:
    return Problem(
        code="osmo-still-sending",
        stage=Stage.SUBMIT,
        title="an `osmo` command of an earlier submit does not end",
        given=run,
        why="As long as it runs, it may still hand the workflow over.",
        suggestions=(
            Suggestion("pgrep -af 'workflow submit'", "shows it; end it when it hangs"),
            Suggestion("the same command", "when it has ended: it finds out what OSMO took"),
        ),
    )


NOTE_FILE = "osmo-sent.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionNote:
    """plan: the digest of what was handed over. before: ids of workflows. workflow: the one it became; empty until OSMO
    said so.
    """

    plan: str
    before: tuple[str, ...]
    workflow: str = ""


def write_note(plan: Plan, before: tuple[str, ...], workflow: str = "") -> None:
    """Remember it, in place of what was remembered. Raises Rejected when that cannot be written."""
    note = SubmissionNote(plan=plan.digest, before=before, workflow=workflow)
    with records.report_write_errors():
        _get_note_path(plan.run).parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(_get_note_path(plan.run), (json.dumps(asdict(note), indent=1) + "\n").encode())


def read_note(plan: Plan) -> SubmissionNote | None:
    """What is remembered of handing this very plan over; None when OSMO was never asked to take it.

    Raises Rejected for a file that is damaged.
    """
    try:
        told = json.loads(_get_note_path(plan.run).read_bytes())
        note = SubmissionNote(plan=str(told["plan"]), before=tuple(told["before"]), workflow=str(told["workflow"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):  # a JSON or UTF-8 error is a ValueError
        raise Rejected([_make_damaged_note_problem(plan)]) from None
    return note if note.plan == plan.digest else None


def delete_note(plan: Plan) -> None:
    """OSMO refused: there is nothing to find. Raises OSError."""
    _get_note_path(plan.run).unlink(missing_ok=True)


def _make_damaged_note_problem(plan: Plan) -> Problem:
    return Problem(
        code="osmo-note-damaged",
        stage=Stage.SUBMIT,
        title="what is remembered of handing it to OSMO cannot be read",
        given=str(_get_note_path(plan.run)),
        why=f"If it runs, its id there begins with {plan.run}-.",
        suggestions=(
            Suggestion("--new", "leaves it alone and sends the job as a run of its own"),
            Suggestion(f"rm {_get_note_path(plan.run)}", "forgets it, when you know that it does not run"),
        ),
    )


def _get_note_path(run: str) -> Path:
    return records.get_run_folder(run) / NOTE_FILE


PAGE_SIZE = 200
SPEC_SECONDS = (0.0, 0.5, 1.5)
"""OSMO stores the text of a workflow a little after it took it."""
PLAN_MARK_PATTERN = r"ROBOTRAIN_PLAN:\s*['\"]?([0-9a-f]{16,64})"


def find_workflow(plan: Plan) -> Reference | None:
    """Where the plan runs that was handed over from here; None when OSMO did not take it. Raises Rejected when nobody
    answers.
    """
    order = submission_spec.load_submission_spec(plan, Stage.SUBMIT)
    wait_for_submit(order.run)
    kept = read_note(plan)
    if kept is None:
        return None
    found = kept.workflow or _find_new_workflow(order, _read_plan_mark(plan), kept.before)
    return make_reference(order, found) if found else None


def list_workflow_ids(order: OsmoSubmissionSpec) -> tuple[str, ...]:
    """The ids of what this user submitted as the run, the oldest first; OSMO does not list what it refused.

    Raises Refused.
    """
    found = [
        str(one["name"])
        for one in _list_workflows(order)
        if re.fullmatch(rf"{re.escape(order.run)}-\d+", str(one.get("name")))
    ]
    return tuple(sorted(found, key=lambda name: int(name.rpartition("-")[2])))


def make_reference(order: OsmoSubmissionSpec, workflow: str) -> Reference:
    """What finds a workflow again."""
    return {
        "workflow": workflow,
        "cli": order.cli,
        "task": order.task,
        "server": order.server,
        "publishes": order.get_publish_url(workflow),
        "run": order.run,
    }


def _find_new_workflow(order: OsmoSubmissionSpec, mark: str, before: tuple[str, ...]) -> str | None:
    """The id of what was taken since; what reached OSMO a moment ago may be listed a moment later."""
    found = _find_workflow_of_plan(order, mark, before)
    if found is None and (pause := get_settle_seconds(order.run)):
        time.sleep(pause)
        found = _find_workflow_of_plan(order, mark, before)
    return found


def _find_workflow_of_plan(order: OsmoSubmissionSpec, mark: str, before: tuple[str, ...]) -> str | None:
    """The id of the workflow with the mark; without one, of the only one whose text cannot be seen. None of `before`
    can be it.
    """
    names = [name for name in list_workflow_ids(order) if name not in before]
    told = {name: _has_plan_mark(order.cli, name, mark) for name in names}
    ours = [name for name in names if told[name]]
    unknown = [name for name in names if told[name] is None]
    if not ours and len(unknown) > 1:
        raise Rejected([_make_ambiguous_problem(order.run, unknown)])
    return next(iter(ours or unknown), None)


def _list_workflows(order: OsmoSubmissionSpec) -> list[Mapping[str, Any]]:
    """Whatever holds the run's name in its own. The answer does not say whether there is more: a short one is all."""
    count = PAGE_SIZE
    while True:
        words = ("workflow", "list", "-n", order.run, "-c", str(count), "-t", "json")
        answer = service.query_json(order.cli, *words)
        rows = answer.get("workflows") if isinstance(answer, dict) else None
        if not isinstance(rows, list):  # no answer is not an empty one
            raise CommandFailed(failures.make_invalid_json_failure())
        if len(rows) < count:
            return [one for one in rows if isinstance(one, dict)]
        count *= 10


def _has_plan_mark(cli: str, workflow: str, mark: str) -> bool | None:
    """Whether a workflow holds the mark; None when that cannot be seen."""
    if not mark:
        return None
    text = next(_query_spec_texts(cli, workflow), "")
    return mark in text if re.search(PLAN_MARK_PATTERN, text) else None


def _query_spec_texts(cli: str, workflow: str) -> Iterator[str]:
    """The text of a workflow, once it is stored. Raises Refused when nobody can be asked."""
    for pause in SPEC_SECONDS:
        time.sleep(pause)
        try:
            yield service.query_text(cli, "workflow", "spec", workflow)
        except CommandFailed as refused:
            if refused.failure.code in UNREACHABLE_CODES:
                raise


def _read_plan_mark(plan: Plan) -> str:
    """What tells this plan from every other: it stands in the workflow's environment."""
    found = re.search(PLAN_MARK_PATTERN, plan.files[plan.spec].decode("utf-8", "replace"))
    return found[1] if found else ""


def _make_ambiguous_problem(run: str, names: list[str]) -> Problem:
    return Problem(
        code="osmo-several-workflows",
        stage=Stage.SUBMIT,
        title=f"OSMO has several workflows that were submitted as {run}, and does not show what is in them",
        given=", ".join(names),
        suggestions=(
            Suggestion(f"osmo workflow query {names[-1]}", "shows one"),
            Suggestion(f"osmo workflow cancel {names[-1]}", "ends one"),
            Suggestion("--new", "leaves them alone and sends the job as a run of its own"),
        ),
    )
