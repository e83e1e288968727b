"""The name that a plan's job gets in the workspace: drawn once, and written down before anything is sent, so that what
is cut off afterwards is found by it, or sent again under it. And whether the workspace was ever asked for that job.
"""

import json
from pathlib import Path
from typing import Any

from robotrain import durable, store
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage

FILE = "azureml-sent.json"


def drawn(plan: Plan) -> str:
    """The job's name: the one drawn for this very plan, else a new one. Raises Rejected when it cannot be kept, or
    read.
    """
    import secrets

    if name := read(plan):
        return name
    name = f"{plan.run}-{secrets.token_hex(3)}"  # an equal job of a colleague has the same run's name
    _write(plan, name, asked=False)
    return name


def read(plan: Plan) -> str:
    """The name that was drawn for this very plan; empty when none was. Raises Rejected for a file that is damaged."""
    return str(_told(plan).get("job", ""))


def asked(plan: Plan) -> bool:
    """Whether the workspace was asked for the job: it may be there, now or a little later. Raises Rejected."""
    told = _told(plan)
    return bool(told) and told.get("asked", True) is not False


def asking(plan: Plan, name: str) -> None:
    """The workspace is asked for the job in a moment. Raises Rejected."""
    if not asked(plan):
        _write(plan, name, asked=True)


def forget(plan: Plan) -> None:
    """Azure ML has none, and was not asked for it, or refused: there is nothing to find. Raises OSError."""
    _file(plan).unlink(missing_ok=True)


def _file(plan: Plan) -> Path:
    return store.folder(plan.run) / FILE


def _write(plan: Plan, name: str, asked: bool) -> None:
    file = _file(plan)
    text = json.dumps({"plan": plan.digest, "job": name, "asked": asked}, indent=1) + "\n"
    with store.writing():
        file.parent.mkdir(parents=True, exist_ok=True)
        durable.write(file, text.encode())
        durable.settle(file.parent.parent)


def _told(plan: Plan) -> dict[str, Any]:
    """What is noted of this very plan; empty without a note."""
    file = _file(plan)
    try:
        told: dict[str, Any] = json.loads(file.read_bytes())
        return told if str(told["plan"]) == plan.digest and str(told["job"]) else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):  # a JSON or UTF-8 error is a ValueError
        raise Rejected([_damaged(file, plan)]) from None


def _damaged(file: Path, plan: Plan) -> Problem:
    return Problem(
        code="azureml-note-damaged",
        stage=Stage.SUBMIT,
        title="under which name it was handed to Azure ML cannot be read",
        given=str(file),
        why=f"If it runs, its name there begins with {plan.run}-.",
        instead=(
            Instead("--new", "leaves it alone and sends the job as a run of its own"),
            Instead(f"rm {file}", "forgets it, when you know that it does not run"),
        ),
    )
