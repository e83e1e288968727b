"""The GPUs of a machine, beside those that a job trains on."""

from collections.abc import Iterator, Sequence

from robotrain.problem import Instead, Problem

from robotrain_azureml.look.finding import problem
from robotrain_azureml.order import Order


def problems(order: Order, has: int | None, what: str, where: str, others: Sequence[str]) -> Iterator[Problem]:
    """Fewer than the job trains on. has: None where nobody told. others: what to type for a machine that has enough."""
    if has is None or has >= order.gpus:
        return
    if has == 0:
        title, why = f"{what} has no GPU", "The job trains on the processor there, which takes far longer."
        yield problem("azureml-no-gpu", title, where, "", why, *map(Instead, others[:1]), severity="warning")
        return
    title = f"{what} has {has} GPU{'' if has == 1 else 's'}, and the job trains on {order.gpus}"
    ways = [*map(Instead, others[:1]), Instead(f"--num-gpus {has}")]
    yield problem("azureml-too-few-gpus", title, where, f"--num-gpus {order.gpus}", "", *ways)
