"""Checks of the OSMO service: its version, credentials, the pool and its machines.

The tasks of a workflow have the same command, pool and service: each check asks once for all of them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import get_args

from robotrain.cluster.answers import as_mapping
from robotrain.cluster.checks import QuantityError, suggest_names
from robotrain.errors import Problem, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.health import HealthResult, report_failure, report_ok

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.client.service import LIST_POOLS, Pool, list_credentials
from robotrain_osmo.settings import ServerVersion
from robotrain_osmo.spec import resources
from robotrain_osmo.spec.environment import make_missing_credential_problem
from robotrain_osmo.spec.inputs import DATASET_SERVERS
from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec

make_problem = Messages(__file__)


SECONDS = service.REQUEST_SECONDS
"""For each query; `doctor` waits less long."""


def query_version(cli: str) -> str:
    """Return the service's version, such as `6.4.0`; empty without a sign-in. Raise CommandFailed."""
    answer = service.query_json(cli, "version", "-t", "json", seconds=SECONDS, stage=Stage.PREFLIGHT)
    version = as_mapping(as_mapping(answer).get("service"))
    return ".".join(str(version[part]) for part in ("major", "minor", "revision") if part in version)


def check_versions(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem | HealthResult]:
    """Check that the service and the `server` setting have the same version. Raise CommandFailed."""
    version = query_version(tasks[0].cli)
    if not version:  # other checks of a plan say why
        yield report_failure(
            "the OSMO service does not answer: you are signed out, or it is unreachable",
            Suggestion("osmo login URL", "the URL of your OSMO service"),
        )
        return
    yield from [*compare_versions(tasks[0].server, version)] or (report_ok(f"service {version}"),)


def compare_versions(configured: str, version: str) -> Iterator[Problem]:
    """Compare the service's version with the `server` setting: up to 6.3, data is read in another way."""
    service = ".".join(version.split(".")[:2])
    known_versions: tuple[str, ...] = get_args(ServerVersion)
    if service in known_versions and service != configured:
        is_other_way = (configured in DATASET_SERVERS) != (service in DATASET_SERVERS)
        severity: Severity = "error" if is_other_way else "warning"
        yield make_problem(
            "osmo-server-other", given=configured, severity=severity, service=service, configured=configured
        )


def check_credentials(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem]:
    """Check that the workflow's credentials exist. Raise CommandFailed."""
    names = list_credentials(tasks[0].cli, SECONDS)
    for credential in dict.fromkeys(credential for task in tasks for credential in task.credentials):
        if credential.name not in names:
            yield make_missing_credential_problem(credential, names)


def check_pool(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem | HealthResult]:
    """Check that the pool exists and does not silently keep the tasks waiting or end them. Raise CommandFailed."""
    pools = service.list_pools(tasks[0].cli, SECONDS)
    for task in tasks:
        if problems := [*find_pool_problems(task, pools)]:
            yield from problems
        else:
            yield report_ok(f"{task.pool}, with {task.gpu_platform}")


def find_pool_problems(submission: OsmoSubmissionSpec, available_pools: list[Pool]) -> Iterator[Problem]:
    """Check a task against the `available_pools` pools."""
    pool = next((pool for pool in available_pools if pool.name == submission.pool), None)
    if pool is None:
        pool_names = [pool.name for pool in available_pools]
        fixes = suggest_names("--pool {}", submission.pool, pool_names, LIST_POOLS)
        yield make_problem("resource-unknown.pool", *fixes, given=submission.pool, pool=submission.pool)
        return
    if pool.status not in ("", "ONLINE"):
        yield make_problem("pool-closed", given=pool.name, name=pool.name, state=pool.status)
    limit, pool_limit = submission.exec_timeout, pool.max_exec_timeout
    with contextlib.suppress(QuantityError):
        if resources.parse_duration(limit) > resources.parse_duration(pool_limit):
            yield make_problem("time-over-limit", given=limit, name=pool.name, pool_limit=pool_limit)
    if submission.gpu_platform not in pool.platforms:
        wanted = submission.gpu_platform
        fixes = suggest_names("--gpu-platform {}", wanted, [*pool.platforms], LIST_POOLS)
        yield make_problem("resource-unknown.gpu-platform", *fixes, given=wanted, name=pool.name, gpu_platform=wanted)


def check_gpu_machines(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem]:
    """Warn if no machine of a task's platform has so many GPUs: OSMO does not check that, and the task waits.

    Failures, and platforms without machines, are reported by other checks.
    """
    try:
        largest = service.list_largest_gpu_counts(tasks[0].cli, tasks[0].pool, SECONDS)
    except CommandFailed:
        return
    for task in tasks:
        name, gpus = task.gpu_platform, task.gpus
        if (count := largest.get(name, gpus)) < gpus:
            yield make_problem("machines-too-small", given=name, name=name, gpus=gpus, most=count)
