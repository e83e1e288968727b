"""Handing a workflow over: what it reads is uploaded, then OSMO is asked to take it, once."""

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage, Unanswered
from robotrain.redaction import redact
from robotrain.run import Reference

from robotrain_osmo.cli import asking
from robotrain_osmo.cli.command import Answer
from robotrain_osmo.cli.refusals import Refusal
from robotrain_osmo.hand_over import find, handed, note, sending, upload
from robotrain_osmo.look import names_there
from robotrain_osmo.order import Order

SECONDS = 300.0
"""For OSMO to take a workflow: its own requests have a minute each, and it makes two."""
FILE = "workflow.yaml"
"""A name that ends in `-1` would be taken for that of a workflow."""


def submit(plan: Plan) -> Reference:
    """Upload and submit. Raises Rejected when OSMO refused and nothing runs; Unanswered, StillSending when
    that is not known.
    """
    order = handed.of(plan, Stage.SUBMIT)
    upload.bring(plan, order)
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        file = Path(folder) / FILE
        file.write_bytes(plan.files[plan.spec])
        with sending.held(order.run) as holding:
            before = find.named(order)
            note.keep(plan, before)
            answer, refusal = _handed(order, file, holding)
    if refusal is not None:
        return _refused(plan, order, refusal)
    workflow = _name(answer)
    with contextlib.suppress(Rejected):  # then it is looked for among what is new
        note.keep(plan, before, workflow)
    return find.reference(order, workflow)


def _handed(order: Order, file: Path, holding: Sequence[int]) -> tuple[Answer, Refusal | None]:
    """The answer, and why not."""
    priority = ("--priority", order.priority) if order.priority else ()
    words = ("workflow", "submit", str(file), "-t", "json", "-p", order.pool, *priority)
    return asking.patiently(order.cli, *words, seconds=SECONDS, holding=holding)


def _refused(plan: Plan, order: Order, refusal: Refusal) -> Reference:
    """The workflow, when it was taken all the same. Raises Rejected, Unanswered."""
    if refusal.certain:
        with contextlib.suppress(OSError):
            note.forget(plan)
        raise Rejected([names_there.told(refusal, order)])
    try:
        found = find.find(plan)
    except Rejected:
        found = None
    if found is None:
        raise Unanswered([refusal.problem()])
    print(f"{refusal.title}; it took {found['workflow']} all the same", file=sys.stderr)
    return found


def _name(answer: Answer) -> str:
    """The workflow's id; warnings are passed on. Raises Unanswered when the answer has none."""
    try:
        told = answer.json()
        name = told["name"]
    except (ValueError, KeyError, TypeError):
        raise Unanswered([_nameless()]) from None
    warnings = told.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        print(f"OSMO warns: {redact(str(warning))}", file=sys.stderr)
    if not isinstance(name, str) or not name:
        raise Unanswered([_nameless()])
    return name


def _nameless() -> Problem:
    return Problem(code="osmo-unanswered", stage=Stage.SUBMIT, title="OSMO's answer names no workflow")
