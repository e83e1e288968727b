"""How a look says what it found."""

from typing import Literal

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

from robotrain_azureml.order import Order

Severity = Literal["error", "warning", "note"]


def problem(
    code: str,
    title: str,
    where: str = "",
    given: str = "",
    why: str = "",
    *instead: Instead,
    severity: Severity = "error",
) -> Problem:
    """One thing that was seen before anything was sent. why: without what must not be shown."""
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where=where,
        given=redact(given),
        why=why,
        instead=instead,
        severity=severity,
    )


def az(order: Order, command: str) -> str:
    """A command of the Azure CLI about the workspace of an order."""
    at = f"--workspace-name {order.workspace} --resource-group {order.group} --subscription {order.subscription}"
    return f"az ml {command} {at}"
