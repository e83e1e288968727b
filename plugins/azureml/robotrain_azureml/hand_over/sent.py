"""The job as the workspace has it, to be kept, or sent again with `az`."""

from robotrain.plan import Plan
from robotrain.problem import Stage
from robotrain.run import Reference

from robotrain_azureml.hand_over import handed, named


def sent(plan: Plan, reference: Reference) -> bytes:
    """The text of the job, with the name it got, and its code where that was uploaded to. Raises Rejected."""
    return named.spec(plan, handed.of(plan, Stage.SUBMIT), reference["job"], reference.get("code", ""))
