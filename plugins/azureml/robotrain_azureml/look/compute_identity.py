"""A look at the managed identities of a compute: the job signs in as one of them, to data and to a key vault."""

from collections.abc import Iterator

from robotrain.problem import Instead, Problem

from robotrain_azureml.look.compute import Compute, Identity
from robotrain_azureml.look.finding import Severity, az, problem
from robotrain_azureml.order import Order

WHERE = "--workload-identity"


def problems(order: Order, found: Compute) -> Iterator[Problem]:
    """What keeps the job from signing in. On Kubernetes a pod may have another sign-in, so it is a warning there."""
    severity: Severity = "warning" if found.kind == "kubernetes" else "error"
    if not found.identities and not found.own:
        yield _none(order, found, severity)
    elif not order.identity and not found.own and len(found.identities) > 1:
        yield _unnamed(found, severity)
    elif order.identity and all(one.client for one in found.identities):
        yield from _another(order, found, severity)


def _none(order: Order, found: Compute, severity: Severity) -> Problem:
    title = f"the compute {found.name} has no managed identity for jobs to sign in with"
    why = "A job reads storage and key vaults as the identity of its compute."
    return problem(
        "azureml-identity-missing", title, "--compute", found.name, why, _give(order, found), severity=severity
    )


def _unnamed(found: Compute, severity: Severity) -> Problem:
    """It was rendered without the workspace being asked."""
    title = f"the compute {found.name} has {len(found.identities)} identities, and the job says none of them"
    why = "Where there are several, a sign-in fails that does not name one."
    ways = [_way(one) for one in found.identities if one.client]
    return problem("azureml-identity-unnamed", title, WHERE, "", why, *ways, severity=severity)


def _another(order: Order, found: Compute, severity: Severity) -> Iterator[Problem]:
    wanted = order.identity.lower()
    if wanted in [one.client.lower() for one in found.identities]:
        return
    meant = [one for one in found.identities if one.principal.lower() == wanted]
    there = [_way(one) for one in meant or found.identities]
    title = f"the compute {found.name} does not have the identity that the job signs in with"
    why = (
        "That is the object id of one: a sign-in names the client id." if meant else 'There it is "Identity not found".'
    )
    ways = [*there, *([] if meant else [_give(order, found)])]
    yield problem("azureml-identity-missing", title, WHERE, order.identity, why, *ways, severity=severity)


def _way(one: Identity) -> Instead:
    return Instead(f"{WHERE} {one.client}", f"{one.name}, which the compute has")


def _give(order: Order, found: Compute) -> Instead:
    given = "--identity-type UserAssigned --user-assigned-identities IDENTITY-RESOURCE-ID"
    if found.kind == "kubernetes":
        given = f"--type Kubernetes --resource-id CLUSTER-RESOURCE-ID {given}"
        return Instead(az(order, f"compute attach --name {found.name} {given}"), "attaches it anew, with an identity")
    return Instead(az(order, f"compute update --name {found.name} {given}"), "gives it one")
