"""A look at everything that would stop a plan, before anything is sent: all at once, side by side."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage
from robotrain.workload import Outputs
from robotrain_azure import at_once, data_from_here
from robotrain_azure.arm import Arm, ArmError
from robotrain_runtime import document
from robotrain_runtime.document import JobDocument

from robotrain_azureml import order as orders
from robotrain_azureml.hand_over import handed, named, sdk, upload
from robotrain_azureml.look import (
    allowed,
    assets_there,
    compute_there,
    data_assets,
    environment_there,
    job_identity,
    refused,
    storage_there,
    taken_away,
    vault_answers,
    vault_role,
)
from robotrain_azureml.look.looking import PATIENCE, VERSION, Looking
from robotrain_azureml.order import Asset, Order

SIGNED_OUT = "azureml-signed-out"
IDENTITY = "the roles of the job's identity"
AT_ONCE = 4
"""Looks at assets: there may be 64."""


def preflight(plan: Plan) -> Iterable[Problem]:
    """What would make this plan fail, or wait, and what is worth knowing. Changes nothing."""
    sdk.warm()
    try:
        order = handed.of(plan, Stage.PREFLIGHT)
    except Rejected as rejected:
        return rejected.problems
    if changed := named.unlike(plan, order, Stage.PREFLIGHT):
        return changed
    told = document.load(plan.files[orders.JOB].decode())
    here = at_once.found([partial(_in_azure, order, told, plan.job.profile.outputs), partial(_here, plan, order, told)])
    return _without_echo(here)


def _in_azure(order: Order, told: JobDocument, left: Outputs) -> Iterator[Problem]:
    """The workspace first: who is not let in there is told so once, and signs in for all looks."""
    looking = Looking(Arm(PATIENCE), order)
    try:
        looking = Looking(looking.arm, order, looking.arm.get(order.at.resource, VERSION))
    except ArmError as error:
        problem = refused.of(error, order.at)
        yield problem
        if problem.severity == "error":
            return
    unchecked = refused.Unchecked(order.at)
    environment = f"the environment {order.environment.name}"
    described = data_assets.described(told) if any(one.kind == "data" for one in order.assets) else ()
    assets = partial(_assets, looking, unchecked, described)
    yield from at_once.found(
        [
            unchecked.around(f"the compute {order.compute}", partial(compute_there.problems, looking)),
            unchecked.around(environment, partial(environment_there.problems, looking)),
            unchecked.around("the roles of who is signed in", partial(allowed.problems, looking)),
            unchecked.around(f"the datastore {order.datastore}", partial(storage_there.problems, looking, told)),
            unchecked.around(IDENTITY, partial(job_identity.on_models, looking, told)),
            partial(taken_away.problems, looking, told, left),
            *(partial(assets, order.assets[start::AT_ONCE]) for start in range(AT_ONCE)),
            *(partial(vault_answers.problems, secret) for secret in order.secrets),
            *(unchecked.around(IDENTITY, partial(vault_role.problems, looking, secret)) for secret in order.secrets),
        ]
    )
    yield from unchecked.problems()


def _assets(
    looking: Looking, unchecked: refused.Unchecked, described: Sequence[str], assets: Sequence[Asset]
) -> Iterator[Problem]:
    for asset in assets:
        yield from unchecked.around(
            assets_there.named(asset), partial(assets_there.problems, looking, asset, described)
        )()


def _here(plan: Plan, order: Order, told: JobDocument) -> Iterator[Problem]:
    """The data as this machine may see it, and the folders that are uploaded from it."""
    yield from upload.looked_at(plan, order)
    yield from data_from_here.problems(told)


def _without_echo(found: list[Problem]) -> list[Problem]:
    """Where nobody is signed in, nothing was seen of the data either: that is one thing to mend."""
    if not any(one.code == SIGNED_OUT for one in found):
        return found
    return [one for one in found if one.severity == "error"]
