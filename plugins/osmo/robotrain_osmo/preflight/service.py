"""Checks of the OSMO service: versions, retry limit, credentials, pool.

The tasks of a workflow have the same command, pool and service: each check asks once for all of them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from robotrain.cluster.answers import as_mapping
from robotrain.cluster.checks import QuantityError, suggest_names
from robotrain.errors import Problem, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.health import HealthResult, report_failure, report_ok, report_warning

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.client.service import LIST_POOLS, Pool, PoolPlatform, list_credentials
from robotrain_osmo.settings import ServerVersion
from robotrain_osmo.spec import resources
from robotrain_osmo.spec.environment import (
    GENERIC_TYPE,
    make_credential_command,
    make_missing_credential_problem,
    suggest_another_credential,
)
from robotrain_osmo.spec.inputs import DATASET_SERVERS
from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec

make_problem = Messages(__file__)


@dataclass(frozen=True, slots=True)
class OsmoVersions:
    """Versions of command and service, such as `6.4.0`; empty if unknown, as without a sign-in."""

    client: str
    service: str


SECONDS = service.REQUEST_SECONDS
"""For each query; `doctor` waits less long."""


def query_versions(cli: str) -> OsmoVersions:
    """Return the output of `osmo version`. Raise CommandFailed."""
    answer = service.query_json(cli, "version", "-t", "json", seconds=SECONDS, stage=Stage.PREFLIGHT)
    version_numbers = [as_mapping(as_mapping(answer).get(name)) for name in ("client", "service")]
    parts = ("major", "minor", "revision")
    return OsmoVersions(
        *(".".join(str(version[part]) for part in parts if part in version) for version in version_numbers)
    )


def check_versions(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem | HealthResult]:
    """Check that the service, the command and the `server` setting have the same version. Raise CommandFailed."""
    versions = query_versions(tasks[0].cli)
    if not versions.service:  # other checks of a plan say why
        yield report_failure(
            f"the OSMO service does not answer (command {versions.client}): you are signed out, or it is unreachable",
            Suggestion("osmo login URL", "the URL of your OSMO service"),
        )
        return
    problems = [*compare_versions(tasks[0].server, versions)]
    yield from problems or (report_ok(f"service {versions.service}, command {versions.client}"),)


def compare_versions(configured: str, versions: OsmoVersions) -> Iterator[Problem]:
    """Compare known versions with each other and with the `server` setting."""
    client, service = (".".join(version.split(".")[:2]) for version in (versions.client, versions.service))
    if service and service != configured:
        known_versions: tuple[str, ...] = get_args(ServerVersion)
        severity: Severity = "warning"
        if service in known_versions:
            severity = "error" if (configured in DATASET_SERVERS) != (service in DATASET_SERVERS) else "warning"
            reason = "Versions up to 6.3 and later ones read data differently."
        else:
            reason = f"robotrain does not know OSMO {service}; the newest known version is {known_versions[-1]}."
        fix = Suggestion(f"--server {service}", "the service's version") if service in known_versions else ""
        yield make_problem(
            "osmo-server-other",
            fix,
            given=configured,
            severity=severity,
            service=versions.service,
            configured=configured,
            why=reason,
        )
    if service and client and client != service:
        yield make_problem("client-version", client=versions.client, service=versions.service)


RETRY_SETTING = "max_retry_per_task"
_ASK = "ask OSMO's administrators: `osmo config update WORKFLOW`"
RETRY_SUGGESTION = Suggestion(f"{RETRY_SETTING} of at least 1", _ASK)


def query_max_retries(cli: str) -> int:
    """Return how often OSMO restarts a task. Raise CommandFailed; only administrators may read it."""
    retries_text = service.query_text(
        cli, "config", "show", "WORKFLOW", RETRY_SETTING, seconds=SECONDS, stage=Stage.PREFLIGHT
    )
    try:
        return int(retries_text)
    except ValueError:
        raise CommandFailed(failures.INVALID_JSON, Stage.PREFLIGHT) from None


def check_retry_limit(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem | HealthResult]:
    """Check that OSMO restarts preempted tasks, if you may read that setting."""
    try:
        count = query_max_retries(tasks[0].cli)
    except CommandFailed as refused:
        if refused.failure.code == "platform-forbidden":  # other checks report other failures
            remark = "only OSMO's administrators can see whether preempted tasks are restarted"
            yield report_warning(remark, RETRY_SUGGESTION)
        return
    retry_result = report_ok(f"a preempted task is restarted at most {count} times")
    yield retry_result if count > 0 else make_problem("osmo-no-retries", RETRY_SUGGESTION)


def check_credentials(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem]:
    """Check that the workflow's credentials exist and have the right type. Raise CommandFailed."""
    needed_credentials = dict.fromkeys(osmo_credential for task in tasks for osmo_credential in task.credentials)
    types_by_name = list_credentials(tasks[0].cli, SECONDS)
    for osmo_credential in needed_credentials:
        name, kind = osmo_credential.name, types_by_name.get(osmo_credential.name)
        if kind is None:
            yield make_missing_credential_problem(osmo_credential, Stage.PREFLIGHT, types_by_name)
        elif kind != GENERIC_TYPE:
            replacement = Suggestion(make_credential_command(osmo_credential), "replaces it")
            fixes = (suggest_another_credential(osmo_credential), replacement)
            yield make_problem(
                "resource-unsuitable",
                *fixes,
                where=osmo_credential.flag,
                given=name,
                name=name,
                kind=kind,
                generic_type=GENERIC_TYPE,
            )


ONLINE, MAINTENANCE = "ONLINE", "MAINTENANCE"
LOW_PRIORITY = "LOW"
"""The priority that may exceed the guaranteed quota."""


def check_pool(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem | HealthResult]:
    """Check that the pool accepts the tasks and has free GPUs. Raise CommandFailed."""
    pools = service.list_pools(tasks[0].cli, SECONDS)
    for task in tasks:
        problems = [*find_pool_problems(task, pools)]
        yield from problems
        if all(problem.severity == "note" for problem in problems):
            yield report_ok(f"{task.pool}, with {task.gpu_platform}")


def find_pool_problems(submission: OsmoSubmissionSpec, available_pools: list[Pool]) -> Iterator[Problem]:
    """Check a task against the `available_pools` pools."""
    pool = next((pool for pool in available_pools if pool.name == submission.pool), None)
    if pool is None:
        pool_names = [pool.name for pool in available_pools]
        fixes = suggest_names("--pool {}", submission.pool, pool_names, LIST_POOLS)
        yield make_problem("resource-unknown.pool", *fixes, given=submission.pool, pool=submission.pool)
        return
    if pool.status not in ("", ONLINE):
        is_refused = pool.status == MAINTENANCE
        state = "closed for maintenance" if is_refused else f"not online ({pool.status.lower()})"
        reason = "" if is_refused else "OSMO accepts the workflow but starts it only when the pool is online."
        severity: Severity = "error" if is_refused else "warning"
        yield make_problem("pool-closed", given=pool.name, severity=severity, name=pool.name, state=state, why=reason)
    limit, pool_limit = submission.exec_timeout, pool.max_exec_timeout
    with contextlib.suppress(QuantityError):
        if resources.parse_duration(limit) > resources.parse_duration(pool_limit):
            yield make_problem("time-over-limit", given=limit, name=pool.name, pool_limit=pool_limit)
    machines = pool.platforms.get(submission.gpu_platform)
    if machines is None:
        fixes = suggest_names("--gpu-platform {}", submission.gpu_platform, [*pool.platforms], LIST_POOLS)
        gpu_platform = submission.gpu_platform
        yield make_problem(
            "resource-unknown.gpu-platform",
            *fixes,
            given=gpu_platform,
            name=pool.name,
            gpu_platform=submission.gpu_platform,
        )
        return
    yield from _check_shared_memory(submission, machines)
    yield from _check_gpus(submission, pool)


def _check_shared_memory(submission: OsmoSubmissionSpec, machines: PoolPlatform) -> Iterator[Problem]:
    """Check that the platform allows shared memory if it is wanted, and note that it does if nothing is set."""
    name, setting, folder = submission.gpu_platform, submission.shared_memory, resources.SHARED_MEMORY_FOLDER
    is_allowed, is_default = folder in machines.allowed_mounts, folder in machines.default_mounts
    if setting == resources.MOUNT_SHARED_MEMORY and is_default and not is_allowed:
        message = "option-without-effect.mount-refused"
    elif setting == resources.MOUNT_SHARED_MEMORY and not is_allowed:
        message = "osmo-mount-refused"
    elif not setting and is_allowed:
        message = "osmo-mount-possible"
    elif not setting and is_default:
        message = "option-without-effect.mount"
    else:
        return
    severity: Severity = "error" if setting else "note"
    shown_setting = setting or "none"
    yield make_problem(message, given=shown_setting, severity=severity, name=name, folder=folder)


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
        if (count := largest.get(name, gpus)) >= gpus:
            continue
        needed_gpus = f"{gpus} GPU{'s' if gpus > 1 else ''}"
        reason = f"Its machines have {f'at most {count}' if count else 'none'}, which OSMO does not check."
        fixes = [
            Suggestion(f"--gpu-platform {other_platform}")
            for other_platform, max_gpus in sorted(largest.items())
            if max_gpus >= gpus
        ]
        fixes += [Suggestion(task.make_gpu_options(count))] if count else []
        fixes = fixes or [Suggestion(f"osmo resource list --pool {task.pool}", "lists the machines")]
        yield make_problem("machines-too-small", *fixes, given=name, name=name, needed=needed_gpus, why=reason)


_LOWER = Suggestion("--priority LOW", "may use free GPUs, and is preempted if others need them")


def _check_gpus(submission: OsmoSubmissionSpec, pool: Pool) -> Iterator[Problem]:
    """Check the GPUs of a task, or of all its nodes, against those that the pool guarantees and that are free.

    Above the guarantee, OSMO accepts only the priority LOW.
    """
    guaranteed, is_low = pool.guaranteed_gpus, submission.priority == LOW_PRIORITY
    nodes = submission.nodes or 1
    if guaranteed is not None and submission.gpus * nodes > guaranteed and not is_low:
        fixes, gpus_per_node = [_LOWER], guaranteed // nodes
        if gpus_per_node:
            remark = f"the guaranteed number{' for each node' if nodes > 1 else ''}"
            fixes.append(Suggestion(submission.make_gpu_options(gpus_per_node), remark))
        count = f"{guaranteed} GPU{'s' if guaranteed != 1 else ''}"
        gpu_count = str(submission.gpus)
        reason = "OSMO refuses the workflow."
        if nodes > 1:
            reason = f"The {nodes} nodes need {submission.gpus * nodes} together: {reason}"
        yield make_problem("osmo-quota", *fixes, given=gpu_count, name=pool.name, count=count, why=reason)
    counts = [pool.free_gpus] if is_low else [pool.free_gpus, pool.quota_gpus]
    if pool.total_gpus and any(count is not None and count <= 0 for count in counts):
        yield make_problem("pool-full", given=pool.name, name=pool.name)
