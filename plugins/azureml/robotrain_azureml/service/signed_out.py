"""Nobody is signed in to Azure, or not any more: one problem, wherever it is met."""

from typing import Literal

from robotrain.problem import SENTENCE, Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain_azure import sign_in
from robotrain_azure.workspace import Workspace

CODE = "azureml-signed-out"


def problem(
    error: BaseException,
    at: Workspace,
    stage: Stage,
    *more: Instead,
    severity: Literal["error", "warning", "note"] = "error",
) -> Problem:
    """more: what to do beside signing in."""
    return Problem(
        code=CODE,
        stage=stage,
        title=sign_in.title(str(error)),
        why=redact(sign_in.reason(error), longest=SENTENCE),
        instead=(Instead("az login", f"then `az account set --subscription {at.subscription}`"), *more),
        severity=severity,
    )
