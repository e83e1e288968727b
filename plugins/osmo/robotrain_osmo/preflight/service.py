"""Preflight checks of the OSMO service: versions, retry limit, credentials, pool.

It is in
its configuration, and that is shown to its administrators alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.errors import Problem, Stage, Suggestion
from robotrain_azure.checks import QuantityError

from robotrain_osmo import errors
from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.client.service import Pool, PoolPlatform, list_credentials
from robotrain_osmo.errors import (
    GENERIC_TYPE,
    make_credential_command,
    make_missing_credential_problem,
    suggest_another_credential,
)
from robotrain_osmo.settings import ServerVersion
from robotrain_osmo.spec import resources
from robotrain_osmo.spec.inputs import DATASET_SERVERS
from robotrain_osmo.spec.submission_spec import OsmoCredential, OsmoSubmissionSpec

OTHER_VERSION_CODE = "osmo-server-other"


@dataclass(frozen=True, slots=True)
class OsmoVersions:
    """Each as `6.4.0`; empty where it is not told. A service that cannot be reached, or asks who one is, tells none."""

    client: str
    service: str


def query_versions(cli: str, seconds: float) -> OsmoVersions:
    """What `osmo version` says. Raises Refused."""
    answer = service.query_json(cli, "version", "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT)
    told = answer if isinstance(answer, dict) else {}
    return OsmoVersions(_format_version(told.get("client")), _format_version(told.get("service")))


def check_versions(order: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """A workflow written for another version than the service's, and a command of another. Raises Refused."""
    yield from compare_versions(order, query_versions(order.cli, seconds))


def compare_versions(order: OsmoSubmissionSpec, versions: OsmoVersions) -> Iterator[Problem]:
    """The same, of the versions that were told."""
    service = _shorten_version(versions.service)
    if service and service != order.server:
        yield _make_server_problem(order.server, service, versions.service)
    if service and versions.client and _shorten_version(versions.client) != service:
        yield _make_client_problem(versions)


def _make_server_problem(configured: str, service: str, full_version: str) -> Problem:
    known = service in ServerVersion.__args__  # type: ignore[attr-defined]
    ways = [Suggestion(f"--server {service}", "what the service is")] if known else []
    nearest = ServerVersion.__args__[-1]  # type: ignore[attr-defined]
    return Problem(
        code=OTHER_VERSION_CODE,
        stage=Stage.PREFLIGHT,
        title=f"the OSMO service is of version {full_version}, and the workflow is written for {configured}",
        where="--server",
        given=configured,
        why="Versions up to 6.3 and later ones take data in different ways."
        if known
        else f"robotrain knows no OSMO {service}; {nearest} is the newest it knows.",
        suggestions=tuple(ways),
        severity="error" if known and (configured in DATASET_SERVERS) != (service in DATASET_SERVERS) else "warning",
    )


def _make_client_problem(versions: OsmoVersions) -> Problem:
    return Problem(
        code="osmo-client-other",
        stage=Stage.PREFLIGHT,
        title=f"the `osmo` command is of version {versions.client}, and the service of {versions.service}",
        where="--osmo-cli",
        why="They may not understand each other.",
        suggestions=(Suggestion("--osmo-cli /path/to/osmo", "one of the service's version"),),
        severity="warning",
    )


def _shorten_version(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _format_version(version: Any) -> str:
    if not isinstance(version, dict):
        return ""
    parts = [str(version.get(name, "")) for name in ("major", "minor", "revision")]
    return ".".join(part for part in parts if part)


RETRY_SETTING = "max_retry_per_task"
RETRY_SUGGESTION = Suggestion(
    f"{RETRY_SETTING} of at least 1",
    f"what to ask the administrator for: `osmo config update WORKFLOW`, {RETRY_SETTING}",
)


def query_max_retries(cli: str, seconds: float) -> int:
    """That number. Raises Refused, also for who may not see it."""
    told = service.query_text(cli, "config", "show", "WORKFLOW", RETRY_SETTING, seconds=seconds, stage=Stage.PREFLIGHT)
    try:
        return int(told)
    except ValueError:
        raise CommandFailed(failures.make_invalid_json_failure(), Stage.PREFLIGHT) from None


def check_retry_limit(order: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """That no task is started again; nothing where that is not told: other looks say what is wrong with a service."""
    try:
        found = query_max_retries(order.cli, seconds)
    except CommandFailed:
        return
    if found < 1:
        yield make_no_retries_problem()


def make_no_retries_problem() -> Problem:
    """No task is started again."""
    return Problem(
        code="osmo-no-retries",
        stage=Stage.PREFLIGHT,
        title="this OSMO starts no task again: a run that is preempted or evicted has failed",
        why=f"Its {RETRY_SETTING} is 0.",
        suggestions=(
            RETRY_SUGGESTION,
            Suggestion("robotrain resume RUN", "then goes on from the last checkpoint that was published"),
        ),
        severity="warning",
    )


def check_credentials(order: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Credentials that the workflow names, and that are not there: OSMO would refuse it. Raises Refused."""
    if order.credentials:
        yield from find_missing_credentials(order, list_credentials(order.cli, seconds))


def find_missing_credentials(order: OsmoSubmissionSpec, available: Mapping[str, str]) -> Iterator[Problem]:
    """The same. there: the type of each credential that there is, by name."""
    for one in order.credentials:
        if one.name not in available:
            yield make_missing_credential_problem(one, Stage.PREFLIGHT, available)
        elif available[one.name] != GENERIC_TYPE:
            yield _make_credential_type_problem(one, available[one.name])


def _make_credential_type_problem(credential: OsmoCredential, kind: str) -> Problem:
    return Problem(
        code="osmo-credential-type",
        stage=Stage.PREFLIGHT,
        title=f"the credential {credential.name} is one for {kind.lower()}, and a task reads none but {GENERIC_TYPE} ones",
        where=credential.flag,
        given=credential.name,
        suggestions=(
            suggest_another_credential(credential),
            Suggestion(make_credential_command(credential), "takes the place of that one"),
        ),
    )


ONLINE, MAINTENANCE = "ONLINE", "MAINTENANCE"
LOW_PRIORITY = "LOW"
"""The priority that may use what others leave free."""


def check_pool(order: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """What would be refused in this pool, or would wait. Raises Refused."""
    yield from find_pool_problems(order, service.list_pools(order.cli, seconds))


def find_pool_problems(order: OsmoSubmissionSpec, available: list[Pool]) -> Iterator[Problem]:
    """The same, of the pools that there are."""
    pool = next((one for one in available if one.name == order.pool), None)
    if pool is None:
        ways = errors.suggest_names("--pool", order.pool, [one.name for one in available])
        yield _make_pool_problem(
            "osmo-pool-unknown", f"there is no pool {order.pool}", "--pool", order.pool, instead=ways
        )
        return
    yield from _check_pool_status(pool)
    yield from _check_exec_timeout(order, pool)
    machines = pool.platforms.get(order.gpu_platform)
    if machines is None:
        title = f"the pool {pool.name} has no platform {order.gpu_platform}"
        ways = errors.suggest_names("--gpu-platform", order.gpu_platform, [*pool.platforms])
        yield _make_pool_problem("osmo-platform-unknown", title, "--gpu-platform", order.gpu_platform, instead=ways)
        return
    yield from _check_mounts(order, machines)
    yield from _check_free_gpus(order, pool)


def _check_pool_status(pool: Pool) -> Iterator[Problem]:
    if pool.status in ("", ONLINE):
        return
    refused = pool.status == MAINTENANCE
    yield _make_pool_problem(
        "osmo-pool-closed",
        f"the pool {pool.name} is {'closed for maintenance' if refused else f'not online ({pool.status.lower()})'}",
        "--pool",
        pool.name,
        why="" if refused else "OSMO takes the workflow, and nothing runs before the pool is back.",
        instead=(Suggestion("--pool NAME", "another: `osmo pool list` shows them"),),
        severity="error" if refused else "warning",
    )


def _check_exec_timeout(order: OsmoSubmissionSpec, pool: Pool) -> Iterator[Problem]:
    """OSMO cuts the time silently."""
    try:
        wanted, longest = resources.parse_duration(order.exec_timeout), resources.parse_duration(pool.max_exec_timeout)
    except QuantityError:
        return
    if wanted > longest:
        yield _make_pool_problem(
            "osmo-time-cut",
            f"the pool {pool.name} lets nothing run for more than {pool.max_exec_timeout}",
            "--exec-timeout",
            order.exec_timeout,
            why="OSMO cuts the time down to that, and ends the run when it is over.",
            instead=(Suggestion(f"--exec-timeout {pool.max_exec_timeout}"),),
            severity="warning",
        )


def _check_mounts(order: OsmoSubmissionSpec, machines: PoolPlatform) -> Iterator[Problem]:
    for mount in order.mounts:
        if mount in machines.allowed_mounts:
            continue
        where, way = "--shared-memory", Suggestion("--shared-memory none", "data is loaded in one process")
        if mount in machines.default_mounts:
            title = f"the platform {order.gpu_platform} brings {mount} by itself, and refuses to be asked for it"
            way = Suggestion("--shared-memory none", "with --num-workers N data is loaded in several processes there")
            yield _make_pool_problem("osmo-mount-there", title, where, "mount", instead=(way,))
        else:
            title = f"the platform {order.gpu_platform} does not let a task use the machine's {mount}"
            yield _make_pool_problem("osmo-mount-refused", title, where, "mount", instead=(way,))
    if not order.shared_memory:
        yield from _check_shared_memory(order, machines)


def _check_shared_memory(order: OsmoSubmissionSpec, machines: PoolPlatform) -> Iterator[Problem]:
    """What nobody said of it, and could."""
    shared, where = resources.SHARED_MEMORY_FOLDER, "--shared-memory"
    if shared in machines.allowed_mounts:
        title = f"the platform {order.gpu_platform} lets a task use the machine's {shared}"
        way = Suggestion("--shared-memory mount", "loads data in several processes")
        yield _make_pool_problem("osmo-mount-possible", title, where, "none", instead=(way,), severity="note")
    elif shared in machines.default_mounts:
        title = f"the platform {order.gpu_platform} brings {shared} by itself"
        way = Suggestion("--num-workers N", "loads data in N processes")
        yield _make_pool_problem("osmo-mount-there", title, where, "none", instead=(way,), severity="note")


def _check_free_gpus(order: OsmoSubmissionSpec, pool: Pool) -> Iterator[Problem]:
    counts = [pool.free_gpus] if order.priority == LOW_PRIORITY else [pool.free_gpus, pool.quota_gpus]
    if pool.total_gpus and any(count is not None and count <= 0 for count in counts):
        title = f"no GPU of the pool {pool.name} is free at this moment: the workflow waits for one"
        way = Suggestion("osmo pool list", "shows what is used")
        yield _make_pool_problem("osmo-pool-full", title, "--pool", pool.name, instead=(way,), severity="note")


def _make_pool_problem(
    code: str,
    title: str,
    where: str,
    given: str,
    *,
    why: str = "",
    instead: tuple[Suggestion, ...] = (),
    severity: str = "error",
) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where=where,
        given=given,
        why=why,
        suggestions=instead,
        severity=severity,  # type: ignore[arg-type]
    )
