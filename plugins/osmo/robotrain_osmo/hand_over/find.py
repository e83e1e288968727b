"""The workflow that a plan became, when nobody heard the answer to its submit: one that was not there before, by its
name, then by what is in it. An equal job of another state folder has the same name, and the same text.
"""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.run import Reference

from robotrain_osmo.cli import asking, refusals
from robotrain_osmo.cli.refusals import UNREACHABLE, Refused
from robotrain_osmo.hand_over import handed, note, sending
from robotrain_osmo.order import Order

PAGE = 200
SPEC_SECONDS = (0.0, 0.5, 1.5)
"""OSMO stores the text of a workflow a little after it took it."""
MARK = r"ROBOTRAIN_PLAN:\s*['\"]?([0-9a-f]{16,64})"


def find(plan: Plan) -> Reference | None:
    """Where the plan runs that was handed over from here; None when OSMO did not take it. Raises Rejected when nobody
    answers.
    """
    order = handed.of(plan, Stage.SUBMIT)
    sending.wait(order.run)
    kept = note.read(plan)
    if kept is None:
        return None
    found = kept.workflow or _new(order, _mark(plan), kept.before)
    return reference(order, found) if found else None


def named(order: Order) -> tuple[str, ...]:
    """The ids of what this user submitted as the run, the oldest first; OSMO does not list what it refused.

    Raises Refused.
    """
    found = [
        str(one["name"]) for one in _listed(order) if re.fullmatch(rf"{re.escape(order.run)}-\d+", str(one.get("name")))
    ]
    return tuple(sorted(found, key=lambda name: int(name.rpartition("-")[2])))


def reference(order: Order, workflow: str) -> Reference:
    """What finds a workflow again."""
    return {
        "workflow": workflow,
        "cli": order.cli,
        "task": order.task,
        "server": order.server,
        "publishes": order.published_by(workflow),
        "run": order.run,
    }


def _new(order: Order, mark: str, before: tuple[str, ...]) -> str | None:
    """The id of what was taken since; what reached OSMO a moment ago may be listed a moment later."""
    found = _of_plan(order, mark, before)
    if found is None and (pause := sending.settling(order.run)):
        time.sleep(pause)
        found = _of_plan(order, mark, before)
    return found


def _of_plan(order: Order, mark: str, before: tuple[str, ...]) -> str | None:
    """The id of the workflow with the mark; without one, of the only one whose text cannot be seen. None of `before`
    can be it.
    """
    names = [name for name in named(order) if name not in before]
    told = {name: _is_of(order.cli, name, mark) for name in names}
    ours = [name for name in names if told[name]]
    unknown = [name for name in names if told[name] is None]
    if not ours and len(unknown) > 1:
        raise Rejected([_several(order.run, unknown)])
    return next(iter(ours or unknown), None)


def _listed(order: Order) -> list[Mapping[str, Any]]:
    """Whatever holds the run's name in its own. The answer does not say whether there is more: a short one is all."""
    count = PAGE
    while True:
        words = ("workflow", "list", "-n", order.run, "-c", str(count), "-t", "json")
        answer = asking.ask(order.cli, *words)
        rows = answer.get("workflows") if isinstance(answer, dict) else None
        if not isinstance(rows, list):  # no answer is not an empty one
            raise Refused(refusals.no_json())
        if len(rows) < count:
            return [one for one in rows if isinstance(one, dict)]
        count *= 10


def _is_of(cli: str, workflow: str, mark: str) -> bool | None:
    """Whether a workflow holds the mark; None when that cannot be seen."""
    if not mark:
        return None
    text = next(_texts(cli, workflow), "")
    return mark in text if re.search(MARK, text) else None


def _texts(cli: str, workflow: str) -> Iterator[str]:
    """The text of a workflow, once it is stored. Raises Refused when nobody can be asked."""
    for pause in SPEC_SECONDS:
        time.sleep(pause)
        try:
            yield asking.said(cli, "workflow", "spec", workflow)
        except Refused as refused:
            if refused.refusal.code in UNREACHABLE:
                raise


def _mark(plan: Plan) -> str:
    """What tells this plan from every other: it stands in the workflow's environment."""
    found = re.search(MARK, plan.files[plan.spec].decode("utf-8", "replace"))
    return found[1] if found else ""


def _several(run: str, names: list[str]) -> Problem:
    return Problem(
        code="osmo-several-workflows",
        stage=Stage.SUBMIT,
        title=f"OSMO has several workflows that were submitted as {run}, and does not show what is in them",
        given=", ".join(names),
        instead=(
            Instead(f"osmo workflow query {names[-1]}", "shows one"),
            Instead(f"osmo workflow cancel {names[-1]}", "ends one"),
            Instead("--new", "leaves them alone and sends the job as a run of its own"),
        ),
    )
