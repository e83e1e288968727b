"""Why a job was not handed over, in a sentence, with the way out: for whatever Azure answers, or does not."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import re
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain_azure.arm import SIGNED_OUT, STALE, ArmError

from robotrain_azureml.hand_over import failure, refusals_named
from robotrain_azureml.service import refusals as asked_for
from robotrain_azureml.spec import inputs

if TYPE_CHECKING:
    from robotrain_azureml.hand_over.calls import Call
    from robotrain_azureml.order import Order
    from robotrain_azureml.service.datastore import StorageError

AGAIN = Instead("the same command", "when it can: nothing is sent twice")
EXPIRED = r"AADSTS(?:70043|70044|700082|700084|50173|50078|50079|65001|50076)\b"
"""Sign-ins that held for a time, or that want to see the person again."""
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
        return Expired([_signed_out(str(told), (), order)])
    if told.code == SIGNED_OUT:
        return Rejected([_signed_out(str(told), failure.tried(error), order)])
    if isinstance(told, ArmError) and (special := _special(told, order, asked)):
        return Rejected([special])
    return Rejected([_general(told, order, asked)])


def unloadable(error: BaseException) -> Rejected:
    """The SDK does not take the text that was rendered: nothing that the person said is at fault."""
    return Rejected(
        [
            Problem(
                code="azureml-job-not-read",
                stage=Stage.SUBMIT,
                title="Azure ML's SDK does not take the job of this plan",
                why=f"It is a plan that somebody changed, or a fault of robotrain ({type(error).__name__}).",
                instead=(
                    Instead("robotrain render … --to FOLDER", "shows the job; please report it with its job.yaml"),
                    Instead("az ml job create -f FOLDER/job.yaml", "says what is wrong with it"),
                ),
            )
        ]
    )


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
        return Problem(
            code="azureml-refused",
            stage=Stage.SUBMIT,
            title=f"Azure ML does not take {_part(asked)}",
            where=inputs.flag_of(str(told)),
            why=f"{told}.",
            instead=(Instead("robotrain render …", "shows what was sent"),),
        )
    return None


def _general(told: ArmError | StorageError, order: Order, asked: Call | None) -> Problem:
    """As for every other request to the workspace, or to its storage."""
    refused = asked_for.of(told, order.at, f"hand over {_part(asked)}")
    [problem] = refused.problems
    return dataclasses.replace(problem, instead=(*problem.instead, AGAIN)) if refused.passing else problem


def _signed_out(said: str, tried: tuple[str, ...], order: Order) -> Problem:
    expired = re.search(EXPIRED, said) or any(f" {code})" in said for code in STALE)
    named = f" These were tried: {', '.join(tried)}." if tried else ""
    return Problem(
        code="azureml-signed-out",
        stage=Stage.SUBMIT,
        title="the sign-in to Azure does not hold any more" if expired else "nobody is signed in to Azure here",
        why=f"{said[:1].upper()}{said[1:]}.{named}",
        instead=(Instead("az login", f"and az account set --subscription {order.subscription}"), AGAIN),
    )


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
