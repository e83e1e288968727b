"""What could go wrong with OSMO from this machine: its command, the sign-in, the versions, the pool."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.health import Finding, HealthCheck, fail, lacking, of_problem, ok, warn
from robotrain.problem import Instead, Rejected

from robotrain_osmo.settings import Settings

if TYPE_CHECKING:
    from robotrain_osmo.order import Order

SECONDS = 4.5
"""Less than a check may take."""
FORBIDDEN = "osmo-forbidden"
INSTALL = Instead("--osmo-cli /path/to/osmo", "when it is installed elsewhere; osmo_cli in robotrain.toml")
POOL = Instead("--pool NAME", "at each submit, OSMO_POOL, or pool in robotrain.toml; `osmo pool list` shows them")


def checks() -> Iterable[HealthCheck]:
    """All of this platform's."""
    return (
        HealthCheck(name="osmo command", look=command),
        HealthCheck(name="osmo service", look=service, online=True),
        HealthCheck(name="osmo pool", look=pool, online=True),
        HealthCheck(name="osmo retries", look=retries, online=True),
    )


def command() -> Iterator[Finding]:
    """The command, by where it lies; nobody is asked. Who has set no pool does not use OSMO from here."""
    settings = _settings()
    found = shutil.which(os.path.expanduser(settings.osmo_cli))
    if found is None:
        says = f"there is no `{settings.osmo_cli}` command: nothing can be sent to OSMO from here"
        yield fail(says, INSTALL) if settings.pool else lacking(says, INSTALL)
    else:
        yield ok(found)
    if found and not settings.pool:
        yield lacking("no pool is set", POOL)


def service() -> Iterator[Finding]:
    """Whether the service answers, and whether command, service and the setting are of one version."""
    from robotrain_osmo.look import versions

    if (settings := _of_use()) is None:
        return
    try:
        told = versions.asked(settings.osmo_cli, SECONDS)
    except Rejected as rejected:
        yield from map(of_problem, rejected.problems)
        return
    if not told.service:
        yield fail(
            f"no service answers the command ({told.client}): signed out, or out of reach",
            Instead("osmo login URL", "the address of your OSMO service"),
        )
        return
    found = list(map(of_problem, versions.compared(_order(settings), told)))
    yield from found or [ok(f"service {told.service}, command {told.client}")]


def pool() -> Iterator[Finding]:
    """Whether the pool is there for you, which needs a sign-in that counts."""
    from robotrain_osmo.look import pools, preflight_pool

    settings = _of_use()
    if settings is None or not settings.pool:
        return
    try:
        told = preflight_pool.within(_order(settings), pools.listed(settings.osmo_cli, SECONDS))
        found = [of_problem(problem) for problem in told if problem.severity != "note"]
    except Rejected as rejected:
        found = list(map(of_problem, rejected.problems))
    yield from found or [ok(f"{settings.pool}, with {settings.gpu_platform}")]


def retries() -> Iterator[Finding]:
    """Whether a task that was preempted is started again, as far as OSMO tells."""
    from robotrain_osmo.cli import refusals
    from robotrain_osmo.look import retries

    if (settings := _of_use()) is None:
        return
    try:
        count = retries.most(settings.osmo_cli, SECONDS)
    except refusals.Refused as refused:
        if refused.refusal.code == FORBIDDEN:  # the others are of the service, and told there
            yield warn("whether a preempted task is started again OSMO tells its administrators alone", retries.WAY)
        return
    yield ok(f"a preempted task is started again, {count} times at most") if count else of_problem(retries.none())


def _of_use() -> Settings | None:
    """The settings, where there is a command to ask with."""
    settings = _settings()
    return settings if shutil.which(os.path.expanduser(settings.osmo_cli)) else None


def _order(settings: Settings) -> "Order":
    """What a submit would look with."""
    from robotrain.workload import Profile

    from robotrain_osmo import machine
    from robotrain_osmo.order import Order
    from robotrain_osmo.spec import workflow

    return Order(
        run="",
        cli=settings.osmo_cli,
        pool=settings.pool or "",
        server=settings.server,
        task="",
        gpu_platform=settings.gpu_platform,
        priority=settings.priority or "",
        exec_timeout=machine.of(Profile(), settings).exec_timeout,
        mounts=workflow.mounts(settings),
        shared_memory=settings.shared_memory or "",
    )


def _settings() -> Settings:
    """As this folder says them: the environment, `.env` files, robotrain.toml; what is not valid counts as not said."""
    from robotrain import project as projects
    from robotrain.coerce import coerce
    from robotrain.layers import dotenv_layers, environment
    from robotrain.provenance import own_name
    from robotrain.request import Request
    from robotrain.stack import Stack

    here = Path.cwd()
    names = (environment(), *dotenv_layers(here))
    profile = next((value for layer in names if (value := layer.first((own_name("profile"),)))), None)
    project = projects.chosen(here, profile)
    request = Request(names=names, project=project, settled=True)
    values = Stack(request).values(Settings, {}, {}, project.settings("osmo") if project else [])
    typed, _ = coerce(Settings, values)
    settings: Settings = typed
    return settings
