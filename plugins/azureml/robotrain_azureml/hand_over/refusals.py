"""Why a job was not handed over, in a sentence, with the way out: for whatever Azure answers, or does not."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import re
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain_azure.arm import SIGNED_OUT, ArmError
from robotrain_azure.sign_in import STALE

from robotrain_azureml.hand_over import failure, refusals_named
from robotrain_azureml.service import refusals as asked_for
from robotrain_azureml.service import signed_out
from robotrain_azureml.spec import inputs
from robotrain_azureml.watch import causes, states

if TYPE_CHECKING:
    from robotrain_azureml.hand_over.calls import Call
    from robotrain_azureml.order import Order
    from robotrain_azureml.service.datastore import StorageError

AGAIN = Instead("the same command", "when it can: nothing is sent twice")
OWN_WORDS = (400, 404, 409, 412, 422)
PARTS = {"jobs": "the job", "codes": "the code of the job", "environments": "the environment of the job"}
"""What Azure was asked to take, by a part of its path."""
BLOBS = ".blob."


class Expired(Rejected):
    """The token does not hold any more: it may be asked for anew, once."""


def of(error: BaseException, order: Order, asked: Call | None) -> Rejected:
    """For the person who asked. asked: what was asked for last."""
    told = failure.of(error, asked.host if asked else "")
    if told is None:
        return Rejected([_unknown(error)])
    if told.status == 401 and told.code in STALE:
        return Expired([signed_out.problem(told, order.at, Stage.SUBMIT, AGAIN)])
    if told.code == SIGNED_OUT:
        return Rejected([signed_out.problem(told, order.at, Stage.SUBMIT, AGAIN)])
    if isinstance(told, ArmError) and (special := _special(told, order, asked)):
        return Rejected([special])
    return Rejected([_general(told, order, asked)])


def _special(told: ArmError, order: Order, asked: Call | None) -> Problem | None:
    """Of an answer that is about this job, or about how often it was asked."""
    if told.status == 404 and (missing := refusals_named.of(told, order)):
        return missing
    if told.status == 429:
        return Problem(
            code="azureml-busy",
            stage=Stage.SUBMIT,
            title="Azure ML takes no more requests for a while",
            why=f"{told}.",
            instead=(Instead("the same command", "in some minutes: nothing is sent twice"),),
        )
    if told.status in OWN_WORDS and told.code not in refusals_named.ABOVE:
        cause = causes.of(str(told), _as_watched(order), order.at)
        return Problem(
            code="azureml-refused",
            stage=Stage.SUBMIT,
            title=f"Azure ML does not take {_part(asked)}",
            where=inputs.flag_of(str(told)) or _flag(cause),
            why=f"{told}.{_meaning(cause)}",
            instead=(Instead("robotrain render …", "shows what was sent"),),
        )
    return None


def _as_watched(order: Order) -> states.Job:
    """What a look at the job would tell of it, had it been made."""
    return states.Job(compute=order.compute, instance_type=order.instance_type, identity=order.identity)


def _meaning(cause: str) -> str:
    return f" That means: {cause}." if cause else ""


def _flag(cause: str) -> str:
    """The one of ours that a cause speaks of first; commands of Azure's stand in backticks."""
    found = re.search(r"--[a-z][a-z-]*", re.sub(r"`[^`]*`", "", cause))
    return found[0] if found else ""


def _general(told: ArmError | StorageError, order: Order, asked: Call | None) -> Problem:
    """As for every other request to the workspace, or to its storage."""
    refused = asked_for.of(told, order.at, f"hand over {_part(asked)}")
    [problem] = refused.problems
    return dataclasses.replace(problem, instead=(*problem.instead, AGAIN)) if refused.passing else problem


def _unknown(error: BaseException) -> Problem:
    return Problem(
        code="azureml-failed",
        stage=Stage.SUBMIT,
        title=f"Azure ML's SDK failed ({type(error).__name__})",
        why=_own_words(error),
        instead=(AGAIN, Instead("robotrain render … --to FOLDER", "and az ml job create -f FOLDER/job.yaml")),
    )


def _own_words(error: BaseException) -> str:
    """Those of Azure's own libraries; any other error may repeat whatever it holds."""
    if not type(error).__module__.startswith("azure."):
        return "It names no answer of Azure's."
    said = failure.first(str(getattr(error, "message", "") or error))
    return f"{said}. The job of this plan may have been changed."


def _part(asked: Call | None) -> str:
    if asked and BLOBS in asked.host:
        return PARTS["codes"]
    return next((name for part, name in PARTS.items() if asked and f"/{part}/" in asked.path), "the job")
