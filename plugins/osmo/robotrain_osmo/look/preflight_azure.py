"""A look at Azure: the workspace that runs are tracked in, and what the jobs' identity may read and write."""

import re
from collections.abc import Iterator

from robotrain.plan import Plan
from robotrain.problem import Problem
from robotrain_azure import preflight as azure
from robotrain_azure import workspace
from robotrain_runtime import document

from robotrain_osmo import order as orders
from robotrain_osmo.order import Order

_ACCOUNT = r"azure://([a-z0-9]+)/.*|https?://([a-z0-9]+)\.(?:blob|dfs)\..*"


def problems(plan: Plan, order: Order) -> Iterator[Problem]:
    """What Azure says to whoever is signed in here; nothing when the job has nothing to do with it."""
    told = document.load(plan.files[orders.JOB].decode())
    if found := workspace.of_address(told.placement.tracking_uri):
        yield from azure.workspace(found)
    if order.identity and order.subscription:
        yield from azure.identity(order.identity, order.subscription, accounts(told, order))


def accounts(told: document.JobDocument, order: Order) -> dict[str, bool]:
    """The storage accounts that the job reaches with its identity, and whether it writes there."""
    own = "blob_url" not in told.placement.credentials
    read = [source.uri for source in told.sources if source.kind == "blob_url" and own]
    read += [one.url for one in order.inputs] + [one.url for one in order.uploads]
    found = {name: False for name in map(_account, read) if name}
    written = _account(order.publishes) if own or order.publishes.startswith("azure:") else ""
    return {**found, **({written: True} if written else {})}


def _account(url: str) -> str:
    match = re.fullmatch(_ACCOUNT, url)
    return (match[1] or match[2]) if match else ""
