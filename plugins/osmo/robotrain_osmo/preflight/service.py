"""Preflight checks of the OSMO service: versions, retry limit, credentials, pool.

The tasks of a workflow have the same command, pool and service: each check asks once for all of them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from robotrain.cluster.answers import as_mapping
from robotrain.cluster.checks import QuantityError, make_preflight_problem, suggest_names
from robotrain.errors import Problem, Severity, Stage, Suggestion

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


@dataclass(frozen=True, slots=True)
class OsmoVersions:
    """Versions of command and service, such as `6.4.0`; empty if unknown, as without a sign-in."""

    client: str
    service: str


def query_versions(cli: str, seconds: float) -> OsmoVersions:
    """Return the output of `osmo version`. Raise CommandFailed."""
    answer = service.query_json(cli, "version", "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT)
    numbers = [as_mapping(as_mapping(answer).get(name)) for name in ("client", "service")]
    parts = ("major", "minor", "revision")
    return OsmoVersions(*(".".join(str(one[part]) for part in parts if part in one) for one in numbers))


def check_versions(tasks: Sequence[OsmoSubmissionSpec], seconds: float) -> Iterator[Problem]:
    """Check that the service, the command and the `server` setting have the same version. Raise CommandFailed."""
    yield from compare_versions(tasks[0].server, query_versions(tasks[0].cli, seconds))


def compare_versions(configured: str, versions: OsmoVersions) -> Iterator[Problem]:
    """Compare known versions with each other and with the `server` setting."""
    client, service = (".".join(version.split(".")[:2]) for version in (versions.client, versions.service))
    if service and service != configured:
        known: tuple[str, ...] = get_args(ServerVersion)
        title = f"the OSMO service has version {versions.service}, but the workflow is for {configured}"
        severity: Severity = "warning"
        if service in known:
            severity = "error" if (configured in DATASET_SERVERS) != (service in DATASET_SERVERS) else "warning"
            why = "Versions up to 6.3 and later ones read data differently."
        else:
            why = f"robotrain does not know OSMO {service}; the newest known version is {known[-1]}."
        fix = Suggestion(f"--server {service}", "the service's version") if service in known else ""
        yield make_preflight_problem("osmo-server-other", title, "--server", configured, why, fix, severity=severity)
    if service and client and client != service:
        title = f"the `osmo` command has version {versions.client}, the service {versions.service}"
        other = Suggestion("--osmo-cli /path/to/osmo", "with the service's version")
        why = "They may be incompatible."
        yield make_preflight_problem("client-version", title, "--osmo-cli", "", why, other, severity="warning")


RETRY_SETTING = "max_retry_per_task"
_ASK = "ask OSMO's administrators: `osmo config update WORKFLOW`"
RETRY_SUGGESTION = Suggestion(f"{RETRY_SETTING} of at least 1", _ASK)


def query_max_retries(cli: str, seconds: float) -> int:
    """Return how often OSMO restarts a task. Raise CommandFailed; only administrators may read it."""
    text = service.query_text(cli, "config", "show", "WORKFLOW", RETRY_SETTING, seconds=seconds, stage=Stage.PREFLIGHT)
    try:
        return int(text)
    except ValueError:
        raise CommandFailed(failures.INVALID_JSON, Stage.PREFLIGHT) from None


def check_retry_limit(tasks: Sequence[OsmoSubmissionSpec], seconds: float) -> Iterator[Problem]:
    """Check that OSMO restarts tasks. Failures are reported by other checks."""
    try:
        count = query_max_retries(tasks[0].cli, seconds)
    except CommandFailed:
        return
    if count < 1:
        yield make_no_retries_problem()


def make_no_retries_problem() -> Problem:
    """Return the problem of an OSMO that restarts no tasks."""
    title, why = "OSMO does not restart tasks: a preempted or evicted run fails", f"Its {RETRY_SETTING} is 0."
    resume = Suggestion("robotrain resume RUN", "continues from the last published checkpoint")
    return make_preflight_problem("osmo-no-retries", title, "", "", why, RETRY_SUGGESTION, resume, severity="warning")


def check_credentials(tasks: Sequence[OsmoSubmissionSpec], seconds: float) -> Iterator[Problem]:
    """Check that the workflow's credentials exist and have the right type. Raise CommandFailed."""
    needed = dict.fromkeys(credential for task in tasks for credential in task.credentials)
    available = list_credentials(tasks[0].cli, seconds) if needed else {}
    for credential in needed:
        name, kind = credential.name, available.get(credential.name)
        if kind is None:
            yield make_missing_credential_problem(credential, Stage.PREFLIGHT, available)
        elif kind != GENERIC_TYPE:
            title = f"the credential {name} has the type {kind}, but a task needs {GENERIC_TYPE}"
            replacement = Suggestion(make_credential_command(credential), "replaces it")
            fixes = (suggest_another_credential(credential), replacement)
            yield make_preflight_problem("resource-unsuitable", title, credential.flag, name, "", *fixes)


ONLINE, MAINTENANCE = "ONLINE", "MAINTENANCE"
LOW_PRIORITY = "LOW"
"""The priority that may exceed the guaranteed quota."""


def check_pool(tasks: Sequence[OsmoSubmissionSpec], seconds: float) -> Iterator[Problem]:
    """Check that the pool accepts the tasks and has free GPUs. Raise CommandFailed."""
    pools = service.list_pools(tasks[0].cli, seconds)
    for task in tasks:
        yield from find_pool_problems(task, pools)


def find_pool_problems(submission: OsmoSubmissionSpec, available: list[Pool]) -> Iterator[Problem]:
    """Check a task against the `available` pools."""
    pool = next((pool for pool in available if pool.name == submission.pool), None)
    if pool is None:
        names, title = [pool.name for pool in available], f"there is no pool {submission.pool}"
        fixes = suggest_names("--pool {}", submission.pool, names, LIST_POOLS)
        yield make_preflight_problem("resource-unknown.pool", title, "--pool", submission.pool, "", *fixes)
        return
    if pool.status not in ("", ONLINE):
        refused = pool.status == MAINTENANCE
        state = "closed for maintenance" if refused else f"not online ({pool.status.lower()})"
        why = "" if refused else "OSMO accepts the workflow but starts it only when the pool is online."
        other = Suggestion("--pool NAME", "another pool: `osmo pool list` lists them")
        title = f"the pool {pool.name} is {state}"
        severity: Severity = "error" if refused else "warning"
        yield make_preflight_problem("pool-closed", title, "--pool", pool.name, why, other, severity=severity)
    limit, pool_limit = submission.exec_timeout, pool.max_exec_timeout
    with contextlib.suppress(QuantityError):
        if resources.parse_duration(limit) > resources.parse_duration(pool_limit):
            title, fix = f"the pool {pool.name} limits the run time to {pool_limit}", f"--exec-timeout {pool_limit}"
            why = "OSMO silently uses that limit and ends the run after it."
            flag = "--exec-timeout"
            yield make_preflight_problem("time-over-limit", title, flag, limit, why, fix, severity="warning")
    machines = pool.platforms.get(submission.gpu_platform)
    if machines is None:
        title = f"the pool {pool.name} has no platform {submission.gpu_platform}"
        fixes = suggest_names("--gpu-platform {}", submission.gpu_platform, [*pool.platforms], LIST_POOLS)
        given = submission.gpu_platform
        yield make_preflight_problem("resource-unknown.gpu-platform", title, "--gpu-platform", given, "", *fixes)
        return
    yield from _check_shared_memory(submission, machines)
    yield from _check_gpus(submission, pool)


def _check_shared_memory(submission: OsmoSubmissionSpec, machines: PoolPlatform) -> Iterator[Problem]:
    """Check that the platform allows shared memory if it is wanted, and note that it does if nothing is set."""
    name, setting, folder = submission.gpu_platform, submission.shared_memory, resources.SHARED_MEMORY_FOLDER
    is_allowed, is_default = folder in machines.allowed_mounts, folder in machines.default_mounts
    if setting == resources.MOUNT_SHARED_MEMORY and is_default and not is_allowed:
        code = "option-without-effect"
        title = f"the platform {name} always mounts {folder} and refuses a request for it"
        fix = Suggestion("--shared-memory none", "and --num-workers N to load data in several processes")
    elif setting == resources.MOUNT_SHARED_MEMORY and not is_allowed:
        code, title = "osmo-mount-refused", f"the platform {name} does not allow mounting the machine's {folder}"
        fix = Suggestion("--shared-memory none", "loads data in one process")
    elif not setting and is_allowed:
        code, title = "osmo-mount-possible", f"the platform {name} allows mounting the machine's {folder}"
        fix = Suggestion("--shared-memory mount", "loads data in several processes")
    elif not setting and is_default:
        code, title = "option-without-effect", f"the platform {name} always mounts {folder}"
        fix = Suggestion("--num-workers N", "loads data in N processes")
    else:
        return
    severity: Severity = "error" if setting else "note"
    given = setting or "none"
    yield make_preflight_problem(code, title, "--shared-memory", given, "", fix, severity=severity)


def check_gpu_machines(tasks: Sequence[OsmoSubmissionSpec], seconds: float) -> Iterator[Problem]:
    """Warn if no machine of a task's platform has so many GPUs: OSMO does not check that, and the task waits.

    Failures, and platforms without machines, are reported by other checks.
    """
    if not any(task.gpus for task in tasks):
        return
    try:
        largest = service.list_largest_gpu_counts(tasks[0].cli, tasks[0].pool, seconds)
    except CommandFailed:
        return
    for task in tasks:
        name, gpus = task.gpu_platform, task.gpus
        if (count := largest.get(name, gpus)) >= gpus:
            continue
        needed = f"{gpus} GPU{'s' if gpus > 1 else ''}"
        title = f"no machine of the platform {name} has {needed}: the workflow will not start"
        why = f"Its machines have {f'at most {count}' if count else 'none'}, which OSMO does not check."
        fixes = [Suggestion(f"--gpu-platform {other}") for other, most in sorted(largest.items()) if most >= gpus]
        fixes += [Suggestion(task.make_gpu_options(count))] if count else []
        fixes = fixes or [Suggestion(f"osmo resource list --pool {task.pool}", "lists the machines")]
        code, flag = "machines-too-small", "--gpu-platform"
        yield make_preflight_problem(code, title, flag, name, why, *fixes, severity="warning")


_LOWER = Suggestion("--priority LOW", "may use free GPUs, and is preempted if others need them")


def _check_gpus(submission: OsmoSubmissionSpec, pool: Pool) -> Iterator[Problem]:
    """Check the GPUs of a task, or of all its nodes, against those that the pool guarantees and that are free.

    Above the guarantee, OSMO accepts only the priority LOW.
    """
    guaranteed, is_low = pool.guaranteed_gpus, submission.priority == LOW_PRIORITY
    nodes = submission.nodes or 1
    if guaranteed is not None and submission.gpus * nodes > guaranteed and not is_low:
        fixes, each = [_LOWER], guaranteed // nodes
        if each:
            what = f"the guaranteed number{' for each node' if nodes > 1 else ''}"
            fixes.append(Suggestion(submission.make_gpu_options(each), what))
        count, given = f"{guaranteed} GPU{'s' if guaranteed != 1 else ''}", str(submission.gpus)
        title, why = f"the pool {pool.name} guarantees only {count}", "OSMO refuses the workflow."
        if nodes > 1:
            why = f"The {nodes} nodes need {submission.gpus * nodes} together: {why}"
        yield make_preflight_problem("osmo-quota", title, "--gpus", given, why, *fixes)
    counts = [pool.free_gpus] if is_low else [pool.free_gpus, pool.quota_gpus]
    if pool.total_gpus and any(count is not None and count <= 0 for count in counts):
        title = f"no GPU of the pool {pool.name} is free now: the workflow will wait"
        suggestion = Suggestion("osmo pool list", "shows the usage")
        yield make_preflight_problem("pool-full", title, "--pool", pool.name, "", suggestion, severity="note")
