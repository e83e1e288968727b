"""The job that a plan became, when nobody heard the answer to its submit: the one of the name that was noted before."""

from robotrain.plan import Plan
from robotrain.problem import Stage
from robotrain.run import Reference
from robotrain_azure.arm import ArmError

from robotrain_azureml.hand_over import handed, named, note
from robotrain_azureml.order import Order
from robotrain_azureml.service import jobs, refusals


def find(plan: Plan) -> Reference | None:
    """Where the plan runs that was handed over from here; None when the workspace has no such job.

    Raises Rejected when it cannot be asked.
    """
    order = handed.of(plan, Stage.SUBMIT)
    return there(order, note.read(plan)) if note.asked(plan) else None


def there(order: Order, name: str) -> Reference | None:
    """The job of a name, which is ours: its last letters were drawn for it. Raises Rejected."""
    try:
        job = jobs.find(jobs.signed_in(), order.at, name)
    except ArmError as error:
        raise refusals.of(error, order.at, f"ask for the job {name}") from None
    if job is None:
        return None
    return named.reference(order, name, str((job.get("properties") or {}).get("codeId") or ""))
