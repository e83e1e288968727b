"""A refusal that is about a name, told with the names that there are."""

import dataclasses

from robotrain.nearest import nearest
from robotrain.problem import Instead, Problem, Stage

from robotrain_osmo.cli.refusals import Refusal, Refused
from robotrain_osmo.look import credentials_there, pools
from robotrain_osmo.order import Order

SECONDS = 15.0
SHOWN = 8


def told(refusal: Refusal, order: Order) -> Problem:
    """The refusal of a submit, for the person who asked. OSMO is asked what there is."""
    problem = refusal.problem()
    wanted = next((one for one in order.credentials if one.name == refusal.name), None)
    if refusal.code == "osmo-credential-missing" and wanted:
        return credentials_there.missing(wanted, Stage.SUBMIT)
    keyed = next((one for one in order.credentials if one.key == refusal.name), None)
    if refusal.code == "osmo-credential-key" and keyed:
        return credentials_there.keyless(keyed, Stage.SUBMIT, refusal.why)
    if refusal.code not in ("osmo-pool-unknown", "osmo-platform-unknown"):
        return problem
    try:
        there = pools.listed(order.cli, SECONDS, Stage.SUBMIT)
    except Refused:
        return problem
    if refusal.code == "osmo-pool-unknown":
        return dataclasses.replace(problem, instead=(*others("--pool", order.pool, [one.name for one in there]),))
    names = [name for pool in there if pool.name == order.pool for name in pool.platforms]
    return dataclasses.replace(problem, instead=(*others("--gpu-platform", order.gpu_platform, names),))


def others(flag: str, wanted: str, names: list[str]) -> tuple[Instead, ...]:
    """What to type in place of a name that is not there."""
    if not names:
        return (Instead("osmo pool list -t json", "shows what there is"),)
    near = nearest(wanted, names)
    first = near or names[0]
    rest = [name for name in sorted(names) if name != first]
    more = f", … ({len(rest) - SHOWN} more)" if len(rest) > SHOWN else ""
    return (Instead(f"{flag} {first}", f"there {'are' if rest else 'is'} {', '.join([first, *rest[:SHOWN]])}{more}"),)
