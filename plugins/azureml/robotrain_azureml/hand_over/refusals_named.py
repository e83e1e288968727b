"""What a job names and its workspace does not have, by the words that Azure has for it."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Stage

if TYPE_CHECKING:
    from robotrain_azure.arm import ArmError

    from robotrain_azureml.order import Order

ROWS = (
    (r"\bcomputes?\b", "--compute", "compute {compute}", "az ml compute list"),
    (r"\binstance ?types?\b", "--instance-type", "instance type {instance_type}", ""),
    (r"\bmodels?\b", "", "model {models}", "az ml model list"),
    (r"\b(?:data|datasets?|data assets?)\b", "--dataset-asset", "data asset {data}", "az ml data list"),
    (r"\bdatastores?\b", "--datastore", "datastore {datastore}", "az ml datastore list"),
    (r"\benvironments?\b", "--environment-name", "environment {environment}", "az ml environment list"),
)
"""The word, the flag, what it is, and what lists them."""
ABOVE = ("ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound")
"""What Azure answers with 404 where the workspace itself is not there, or not seen."""
_OF_THE_WORKSPACE = r"workspaces/[^/']+' under"


def of(told: ArmError, order: Order) -> Problem | None:
    """Of an answer of 404; None for one that is not about what the job names."""
    text = str(told)
    row = next((row for row in ROWS if re.search(row[0], text, re.IGNORECASE)), None)
    if row is None or told.code in ABOVE[1:] or re.search(_OF_THE_WORKSPACE, text):
        return None
    _, flag, what, lists = row
    at = f"--workspace-name {order.workspace} --resource-group {order.group} --subscription {order.subscription}"
    return Problem(
        code="azureml-missing",
        stage=Stage.SUBMIT,
        title=f"the workspace {order.workspace} has no {what.format(**_names(order))}",
        where=flag or next((one.flag for one in order.assets if one.kind == "models"), ""),
        why=f"{text}.",
        instead=(Instead(f"{lists} {at}", "shows what there is"),) if lists else (),
    )


def _names(order: Order) -> dict[str, str]:
    def listed(kind: str) -> str:
        return ", ".join(f"{one.name}:{one.version}" for one in order.assets if one.kind == kind) or "of that name"

    return {
        "compute": order.compute,
        "instance_type": order.instance_type,
        "datastore": order.datastore,
        "environment": f"{order.environment.name}:{order.environment.version}",
        "models": listed("models"),
        "data": listed("data"),
    }
