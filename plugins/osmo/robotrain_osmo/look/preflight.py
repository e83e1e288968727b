"""A look at everything that would stop a plan, before anything is sent: all at once, side by side."""

from collections.abc import Iterable, Iterator
from functools import partial

from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage
from robotrain_azure import at_once, data_from_here
from robotrain_runtime import document

from robotrain_osmo import order as orders
from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.hand_over import handed
from robotrain_osmo.kinds import dataset
from robotrain_osmo.look import (
    credentials_there,
    datasets_there,
    preflight_azure,
    preflight_pool,
    preflight_storage,
    retries,
    versions,
)
from robotrain_osmo.spec import size

SECONDS = 20.0
"""For each answer of the service."""


def preflight(plan: Plan) -> Iterable[Problem]:
    """What would make this plan fail, or wait, and what is worth knowing. Changes nothing."""
    try:
        order = handed.of(plan, Stage.PREFLIGHT)
    except Rejected as rejected:
        return rejected.problems
    told = at_once.found(
        [
            partial(size.wrong_with, plan),
            partial(_asked, partial(versions.problems, order, SECONDS)),
            partial(_asked, partial(preflight_pool.problems, order, SECONDS)),
            partial(_asked, partial(credentials_there.problems, order, SECONDS)),
            partial(retries.problems, order, SECONDS),
            partial(datasets_there.problems, plan, order, SECONDS),
            *(partial(preflight_storage.empty, order, one, SECONDS) for one in order.inputs),
            *(partial(preflight_storage.to_upload, plan, order, one, SECONDS) for one in order.uploads),
            partial(preflight_azure.problems, plan, order),
            partial(_data, plan),
        ]
    )
    return _without_consequences(told)


def _without_consequences(told: list[Problem]) -> list[Problem]:
    """What is not only so because the service is of another version, which takes a dataset from another place."""
    other = any(one.code == versions.OTHER and one.severity == "error" for one in told)
    return [one for one in told if not (other and one.code == "osmo-input-empty" and one.where == dataset.FLAG)]


def _data(plan: Plan) -> Iterator[Problem]:
    yield from data_from_here.problems(document.load(plan.files[orders.JOB].decode()))


def _asked(look: "partial[Iterator[Problem]]") -> Iterator[Problem]:
    """What a look finds, or why the service did not answer it."""
    try:
        yield from look()
    except Refused as refused:
        yield refused.refusal.problem(Stage.PREFLIGHT)
