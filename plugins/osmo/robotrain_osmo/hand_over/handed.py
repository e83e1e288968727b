"""The order of a plan, and a plan that is damaged."""

from robotrain.plan import Plan
from robotrain.problem import Rejected, Stage
from robotrain_azure import orders

from robotrain_osmo import order
from robotrain_osmo.order import Order


def of(plan: Plan, stage: Stage) -> Order:
    """How the plan is handed over. Raises Rejected when it does not say so, or lacks its workflow."""
    try:
        if plan.spec not in plan.files:
            raise orders.OrderError(f"{plan.spec} is missing")
        return order.load(plan.files[order.FILE])
    except KeyError:
        raise Rejected([orders.damaged(stage, "OSMO", f"{order.FILE} is missing.")]) from None
    except orders.OrderError as error:
        raise Rejected([orders.damaged(stage, "OSMO", f"{error}.")]) from None
