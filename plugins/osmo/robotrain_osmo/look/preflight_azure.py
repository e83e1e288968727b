"""A look at Azure: the workspace that runs are tracked in, and what the jobs' identity may read and write."""

from collections.abc import Iterator

from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Stage
from robotrain_azure import preflight as azure
from robotrain_azure import workspace
from robotrain_runtime import document

from robotrain_osmo import order as orders
from robotrain_osmo.kinds import blobs
from robotrain_osmo.order import Order


def problems(plan: Plan, order: Order) -> Iterator[Problem]:
    """What Azure says to whoever is signed in here; nothing when the job has nothing to do with it."""
    told = document.load(plan.files[orders.JOB].decode())
    if found := workspace.of_address(told.placement.tracking_uri):
        yield from azure.workspace(found)
    reached = accounts(told, order) if order.identity else {}
    subscription = order.subscription or (found.subscription if found else "")
    if reached and subscription:
        yield from azure.identity(order.identity, subscription, reached)
    elif reached:
        yield _no_subscription(order.identity, ", ".join(sorted(reached)))


def _no_subscription(identity: str, names: str) -> Problem:
    """Accounts are looked up in a subscription. names: theirs."""
    return Problem(
        code="azure-unchecked",
        stage=Stage.PREFLIGHT,
        title=f"the roles of the job's identity could not be checked: {names}",
        where=azure.IDENTITY,
        given=identity,
        why="Nobody says which subscription they are in.",
        instead=(Instead("--subscription-id ID"),),
        severity="warning",
    )


def accounts(told: document.JobDocument, order: Order) -> dict[str, bool]:
    """The storage accounts that the job reaches with its identity, and whether it writes there."""
    own = "blob_url" not in told.placement.credentials
    read = [source.uri for source in told.sources if source.kind == "blob_url" and own]
    read += [one.url for one in order.inputs] + [one.url for one in order.uploads]
    found = {name: False for name in map(blobs.account, read) if name}
    written = blobs.account(order.publishes) if own or order.publishes.startswith("azure:") else ""
    return {**found, **({written: True} if written else {})}
