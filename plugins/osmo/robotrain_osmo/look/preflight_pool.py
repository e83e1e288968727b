"""A look at the pool: whether it is there and open, has the kind of machine, and allows what the task asks for."""

from collections.abc import Iterator

from robotrain.problem import Instead, Problem, Stage
from robotrain_azure.times import QuantityError

from robotrain_osmo import quantities, shared_memory
from robotrain_osmo.look import names_there, pools
from robotrain_osmo.look.pools import Machines, Pool
from robotrain_osmo.order import Order

ONLINE, MAINTENANCE = "ONLINE", "MAINTENANCE"
LEFT_OVERS = "LOW"
"""The priority that may use what others leave free."""


def problems(order: Order, seconds: float) -> Iterator[Problem]:
    """What would be refused in this pool, or would wait. Raises Refused."""
    yield from within(order, pools.listed(order.cli, seconds))


def within(order: Order, there: list[Pool]) -> Iterator[Problem]:
    """The same, of the pools that there are."""
    pool = next((one for one in there if one.name == order.pool), None)
    if pool is None:
        ways = names_there.others("--pool", order.pool, [one.name for one in there])
        yield _problem("osmo-pool-unknown", f"there is no pool {order.pool}", "--pool", order.pool, instead=ways)
        return
    yield from _open(pool)
    yield from _long_enough(order, pool)
    machines = pool.platforms.get(order.gpu_platform)
    if machines is None:
        title = f"the pool {pool.name} has no platform {order.gpu_platform}"
        ways = names_there.others("--gpu-platform", order.gpu_platform, [*pool.platforms])
        yield _problem("osmo-platform-unknown", title, "--gpu-platform", order.gpu_platform, instead=ways)
        return
    yield from _mounts(order, machines)
    yield from _free(order, pool)


def _open(pool: Pool) -> Iterator[Problem]:
    if pool.status in ("", ONLINE):
        return
    refused = pool.status == MAINTENANCE
    yield _problem(
        "osmo-pool-closed",
        f"the pool {pool.name} is {'closed for maintenance' if refused else f'not online ({pool.status.lower()})'}",
        "--pool",
        pool.name,
        why="" if refused else "OSMO takes the workflow, and nothing runs before the pool is back.",
        instead=(Instead("--pool NAME", "another: `osmo pool list` shows them"),),
        severity="error" if refused else "warning",
    )


def _long_enough(order: Order, pool: Pool) -> Iterator[Problem]:
    """OSMO cuts the time silently."""
    try:
        wanted, longest = quantities.seconds(order.exec_timeout), quantities.seconds(pool.longest)
    except QuantityError:
        return
    if wanted > longest:
        yield _problem(
            "osmo-time-cut",
            f"the pool {pool.name} lets nothing run for more than {pool.longest}",
            "--exec-timeout",
            order.exec_timeout,
            why="OSMO cuts the time down to that, and ends the run when it is over.",
            instead=(Instead(f"--exec-timeout {pool.longest}"),),
            severity="warning",
        )


def _mounts(order: Order, machines: Machines) -> Iterator[Problem]:
    for mount in order.mounts:
        if mount in machines.allowed:
            continue
        where, way = "--shared-memory", Instead("--shared-memory none", "data is loaded in one process")
        if mount in machines.given:
            title = f"the platform {order.gpu_platform} brings {mount} by itself, and refuses to be asked for it"
            way = Instead("--shared-memory none", "with --num-workers N data is loaded in several processes there")
            yield _problem("osmo-mount-there", title, where, "mount", instead=(way,))
        else:
            title = f"the platform {order.gpu_platform} does not let a task use the machine's {mount}"
            yield _problem("osmo-mount-refused", title, where, "mount", instead=(way,))
    if not order.shared_memory:
        yield from _shared(order, machines)


def _shared(order: Order, machines: Machines) -> Iterator[Problem]:
    """What nobody said of it, and could."""
    shared, where = shared_memory.FOLDER, "--shared-memory"
    if shared in machines.allowed:
        title = f"the platform {order.gpu_platform} lets a task use the machine's {shared}"
        way = Instead("--shared-memory mount", "loads data in several processes")
        yield _problem("osmo-mount-possible", title, where, "none", instead=(way,), severity="note")
    elif shared in machines.given:
        title = f"the platform {order.gpu_platform} brings {shared} by itself"
        way = Instead("--num-workers N", "loads data in N processes")
        yield _problem("osmo-mount-there", title, where, "none", instead=(way,), severity="note")


def _free(order: Order, pool: Pool) -> Iterator[Problem]:
    counts = [pool.free] if order.priority == LEFT_OVERS else [pool.free, pool.quota]
    if pool.capacity and any(count is not None and count <= 0 for count in counts):
        title = f"no GPU of the pool {pool.name} is free at this moment: the workflow waits for one"
        way = Instead("osmo pool list", "shows what is used")
        yield _problem("osmo-pool-full", title, "--pool", pool.name, instead=(way,), severity="note")


def _problem(
    code: str,
    title: str,
    where: str,
    given: str,
    *,
    why: str = "",
    instead: tuple[Instead, ...] = (),
    severity: str = "error",
) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where=where,
        given=given,
        why=why,
        instead=instead,
        severity=severity,  # type: ignore[arg-type]
    )
