"""The order of a plan, and a plan that is damaged."""

from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage
from robotrain_azure import orders

from robotrain_azureml import order
from robotrain_azureml.order import Order

NEEDED = (order.SPEC, order.START, order.PAYLOAD, order.JOB)


def of(plan: Plan, stage: Stage) -> Order:
    """How the plan is handed over. Raises Rejected when it does not say so, or lacks a part of the job."""
    lacking = [path for path in (order.FILE, *NEEDED) if path not in plan.files]
    if lacking:
        raise Rejected([damaged(stage, f"It lacks {', '.join(lacking)}.")])
    try:
        return order.load(plan.files[order.FILE])
    except orders.OrderError as error:
        raise Rejected([damaged(stage, f"{error}.")]) from None


def damaged(stage: Stage, why: str) -> Problem:
    """A plan that is not what `render` makes. why: a sentence."""
    return orders.damaged(stage, "Azure ML", why)
