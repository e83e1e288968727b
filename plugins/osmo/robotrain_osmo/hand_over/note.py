"""What is remembered of a hand-over, beside the record of its run: the workflows of that name which OSMO had before, so
that none of them is ever taken for this one, and its answer, once that was heard.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from robotrain import durable, store
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage

FILE = "osmo-sent.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """plan: the digest of what was handed over. before: ids of workflows. workflow: the one it became; empty until OSMO
    said so.
    """

    plan: str
    before: tuple[str, ...]
    workflow: str = ""


def keep(plan: Plan, before: tuple[str, ...], workflow: str = "") -> None:
    """Remember it, in place of what was remembered. Raises Rejected when that cannot be written."""
    note = Note(plan=plan.digest, before=before, workflow=workflow)
    with store.writing():
        _path(plan.run).parent.mkdir(parents=True, exist_ok=True)
        durable.write(_path(plan.run), (json.dumps(asdict(note), indent=1) + "\n").encode())


def read(plan: Plan) -> Note | None:
    """What is remembered of handing this very plan over; None when OSMO was never asked to take it.

    Raises Rejected for a file that is damaged.
    """
    try:
        told = json.loads(_path(plan.run).read_bytes())
        note = Note(plan=str(told["plan"]), before=tuple(told["before"]), workflow=str(told["workflow"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):  # a JSON or UTF-8 error is a ValueError
        raise Rejected([_damaged(plan)]) from None
    return note if note.plan == plan.digest else None


def forget(plan: Plan) -> None:
    """OSMO refused: there is nothing to find. Raises OSError."""
    _path(plan.run).unlink(missing_ok=True)


def _damaged(plan: Plan) -> Problem:
    return Problem(
        code="osmo-note-damaged",
        stage=Stage.SUBMIT,
        title="what is remembered of handing it to OSMO cannot be read",
        given=str(_path(plan.run)),
        why=f"If it runs, its id there begins with {plan.run}-.",
        instead=(
            Instead("--new", "leaves it alone and sends the job as a run of its own"),
            Instead(f"rm {_path(plan.run)}", "forgets it, when you know that it does not run"),
        ),
    )


def _path(run: str) -> Path:
    return store.folder(run) / FILE
