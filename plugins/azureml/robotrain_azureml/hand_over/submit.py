"""Handing a job over: what it needs is brought, then the workspace is asked to make it, once, under a name of ours.

That name is forgotten only while no workspace can have a job of it: nobody was asked for one, or every attempt was
refused. A request without an answer may be done late, so what refuses the next attempt refuses nothing of the first.
"""

import contextlib
import functools
import sys
from pathlib import Path
from typing import Any

from robotrain.plan import Plan
from robotrain.problem import NotSent, Rejected, Stage, Unanswered
from robotrain.run import Reference
from robotrain_azure import credential

from robotrain_azureml.hand_over import find, handed, named, note, prepare, refusals, staging, unread, upload
from robotrain_azureml.hand_over.sdk import Sdk
from robotrain_azureml.order import Order
from robotrain_azureml.service import job_address


def submit(plan: Plan) -> Reference:
    """Bring what it needs, and make the job. Raises Rejected when Azure ML refused and nothing runs; NotSent when it
    was interrupted in time; Unanswered when it is not known whether the workspace made the job.
    """
    before = _may_be_there(plan)
    try:
        return _prepared(plan)
    except Rejected as rejected:
        if before:
            raise Unanswered(rejected.problems) from rejected
        _forget(plan)
        raise
    except KeyboardInterrupt:
        if _may_be_there(plan):
            raise
        _forget(plan)
        raise NotSent from None


def _may_be_there(plan: Plan) -> bool:
    try:
        return note.asked(plan)
    except Rejected as rejected:
        raise Unanswered(rejected.problems) from rejected


def _forget(plan: Plan) -> None:
    with contextlib.suppress(OSError):
        note.forget(plan)


def _prepared(plan: Plan) -> Reference:
    order = handed.of(plan, Stage.SUBMIT)
    upload.refuse(plan, order)
    name = note.drawn(plan)
    try:
        return _handed(plan, order, name)
    except refusals.Expired:
        credential.forget()  # a token that was kept from before; all of this may be done twice
        return _handed(plan, order, name)


def _handed(plan: Plan, order: Order, name: str) -> Reference:
    with staging.staged(plan, named.spec(plan, order, name)) as file:
        sdk = prepare.client(order)
        job = _loaded(sdk, file)
        for one in prepare.brought(sdk, plan, named.order_of(order, name)):
            if one.new:
                print(one.line, file=sys.stderr, flush=True)
        sdk.calls.before_a_job = functools.partial(note.asking, plan, name)
        try:
            return named.reference(order, name, sdk.create(job))
        except KeyboardInterrupt:
            _tell_interrupted(sdk, order, name)
            raise
        except Rejected:
            raise
        except Exception as error:
            return _refused(sdk, order, name, error)


def _loaded(sdk: Sdk, file: Path) -> Any:
    try:
        return sdk.load(file)
    except Exception as error:
        raise Rejected([unread.problem(error)]) from error


def _refused(sdk: Sdk, order: Order, name: str, error: Exception) -> Reference:
    """The job, when it is there all the same: made by this, or by an earlier submit that was cut off.

    Raises Rejected, Unanswered.
    """
    refused = refusals.of(error, order, sdk.calls.last)
    if not sdk.calls.made_a_job():
        raise refused from error
    try:
        found = find.there(order, name)
    except Rejected:
        found = None
    if found is not None:
        print(f"{refused.problems[0].title}; the workspace has {name} all the same", file=sys.stderr)
        return found
    if sdk.calls.may_have_made_it():
        raise Unanswered(refused.problems) from error
    raise refused from error


def _tell_interrupted(sdk: Sdk, order: Order, name: str) -> None:
    if sdk.calls.made_a_job():
        page = job_address.studio(order.at, name)
        print(f"the job {name} may have been made: {page}", file=sys.stderr, flush=True)
