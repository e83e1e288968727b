"""A look at the datasets of an older OSMO: it takes a workflow without asking whether they are there."""

from collections.abc import Iterator
from dataclasses import replace

from robotrain.plan import Plan
from robotrain.problem import Problem, Stage
from robotrain_runtime import document

from robotrain_osmo import order as orders
from robotrain_osmo.cli import asking
from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.kinds import dataset
from robotrain_osmo.order import Order
from robotrain_osmo.spec.brought import WITH_DATASETS

NOT_THERE = ("osmo-bucket-unknown", "osmo-dataset-unknown")


def problems(plan: Plan, order: Order, seconds: float) -> Iterator[Problem]:
    """Those that are not there. Nothing where that is not told: other looks say what is wrong with a service."""
    for name in _named(plan) if order.server in WITH_DATASETS else ():
        try:
            asking.ask(order.cli, "dataset", "info", name, "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT)
        except Refused as refused:
            if refused.refusal.code in NOT_THERE:
                problem = refused.refusal.problem(Stage.PREFLIGHT)
                yield replace(problem, where=dataset.FLAG, given=name)


def _named(plan: Plan) -> list[str]:
    """Each as `BUCKET/NAME`, with its version where it has one."""
    told = document.load(plan.files[orders.JOB].decode())
    theirs = {(one.role, one.uri) for one in told.sources if one.kind == dataset.KIND.name}
    return [one.origin for one in told.placement.mounts if (one.role, one.uri) in theirs]
