"""Preflight checks of the OSMO service: versions, retry limit, credentials, pool."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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
from robotrain_osmo.spec.submission_spec import OsmoCredential, OsmoSubmissionSpec


@dataclass(frozen=True, slots=True)
class OsmoVersions:
    """Versions of command and service, such as `6.4.0`; empty if unknown, as without a sign-in."""

    client: str
    service: str


def query_versions(cli: str, seconds: float) -> OsmoVersions:
    """Return the output of `osmo version`. Raise CommandFailed."""
    answer = service.query_json(cli, "version", "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT)
    client, service_version = (_format_version(as_mapping(answer).get(name)) for name in ("client", "service"))
    return OsmoVersions(client, service_version)


def check_versions(submission: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Check that the service, the command and the `server` setting have the same version. Raise CommandFailed."""
    yield from compare_versions(submission, query_versions(submission.cli, seconds))


def compare_versions(submission: OsmoSubmissionSpec, versions: OsmoVersions) -> Iterator[Problem]:
    """Compare known versions with each other and with the `server` setting."""
    service = _shorten_version(versions.service)
    if service and service != submission.server:
        yield _make_server_problem(submission.server, service, versions.service)
    if service and versions.client and _shorten_version(versions.client) != service:
        yield _make_client_problem(versions)


def _make_server_problem(configured: str, service: str, full_version: str) -> Problem:
    is_known = service in ServerVersion.__args__  # type: ignore[attr-defined]
    suggestions = (Suggestion(f"--server {service}", "the service's version"),) if is_known else ()
    nearest = ServerVersion.__args__[-1]  # type: ignore[attr-defined]
    differs = is_known and (configured in DATASET_SERVERS) != (service in DATASET_SERVERS)
    title = f"the OSMO service has version {full_version}, but the workflow is for {configured}"
    why = f"robotrain does not know OSMO {service}; the newest known version is {nearest}."
    if is_known:
        why = "Versions up to 6.3 and later ones read data differently."
    return make_preflight_problem(
        "osmo-server-other",
        title,
        "--server",
        configured,
        why,
        *suggestions,
        severity="error" if differs else "warning",
    )


def _make_client_problem(versions: OsmoVersions) -> Problem:
    title = f"the `osmo` command has version {versions.client}, the service {versions.service}"
    other = Suggestion("--osmo-cli /path/to/osmo", "with the service's version")
    why = "They may be incompatible."
    return make_preflight_problem("osmo-client-other", title, "--osmo-cli", "", why, other, severity="warning")


def _shorten_version(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _format_version(version: Any) -> str:
    parts = [str(as_mapping(version).get(name, "")) for name in ("major", "minor", "revision")]
    return ".".join(part for part in parts if part)


RETRY_SETTING = "max_retry_per_task"
RETRY_SUGGESTION = Suggestion(
    f"{RETRY_SETTING} of at least 1",
    "ask OSMO's administrators: `osmo config update WORKFLOW`",
)


def query_max_retries(cli: str, seconds: float) -> int:
    """Return how often OSMO restarts a task. Raise CommandFailed; only administrators may read it."""
    text = service.query_text(cli, "config", "show", "WORKFLOW", RETRY_SETTING, seconds=seconds, stage=Stage.PREFLIGHT)
    try:
        return int(text)
    except ValueError:
        raise CommandFailed(failures.INVALID_JSON, Stage.PREFLIGHT) from None


def check_retry_limit(submission: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Check that OSMO restarts tasks. Failures are reported by other checks."""
    try:
        count = query_max_retries(submission.cli, seconds)
    except CommandFailed:
        return
    if count < 1:
        yield make_no_retries_problem()


def make_no_retries_problem() -> Problem:
    """Return the problem of an OSMO that restarts no tasks."""
    title, why = "OSMO does not restart tasks: a preempted or evicted run fails", f"Its {RETRY_SETTING} is 0."
    resume = Suggestion("robotrain resume RUN", "continues from the last published checkpoint")
    return make_preflight_problem("osmo-no-retries", title, "", "", why, RETRY_SUGGESTION, resume, severity="warning")


def check_credentials(submission: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Check that the workflow's credentials exist. Raise CommandFailed."""
    if submission.credentials:
        yield from find_missing_credentials(submission, list_credentials(submission.cli, seconds))


def find_missing_credentials(submission: OsmoSubmissionSpec, available: Mapping[str, str]) -> Iterator[Problem]:
    """Check that the credentials are in `available`, the types of your credentials by name."""
    for credential in submission.credentials:
        if credential.name not in available:
            yield make_missing_credential_problem(credential, Stage.PREFLIGHT, available)
        elif available[credential.name] != GENERIC_TYPE:
            yield _make_credential_type_problem(credential, available[credential.name])


def _make_credential_type_problem(credential: OsmoCredential, kind: str) -> Problem:
    title = f"the credential {credential.name} has the type {kind}, but a task needs {GENERIC_TYPE}"
    other = suggest_another_credential(credential)
    replacement = Suggestion(make_credential_command(credential), "replaces it")
    return make_preflight_problem(
        "osmo-credential-type", title, credential.flag, credential.name, "", other, replacement
    )


ONLINE, MAINTENANCE = "ONLINE", "MAINTENANCE"
LOW_PRIORITY = "LOW"
"""The priority that may exceed the guaranteed quota."""


def check_pool(submission: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Check that the pool accepts the workflow and has free GPUs. Raise CommandFailed."""
    yield from find_pool_problems(submission, service.list_pools(submission.cli, seconds))


def find_pool_problems(submission: OsmoSubmissionSpec, available: list[Pool]) -> Iterator[Problem]:
    """Check the workflow against the `available` pools."""
    pool = next((pool for pool in available if pool.name == submission.pool), None)
    if pool is None:
        names, title = [pool.name for pool in available], f"there is no pool {submission.pool}"
        fixes = suggest_names("--pool {}", submission.pool, names, LIST_POOLS)
        yield make_preflight_problem("osmo-pool-unknown", title, "--pool", submission.pool, "", *fixes)
        return
    yield from _check_pool_status(pool)
    yield from _check_exec_timeout(submission, pool)
    machines = pool.platforms.get(submission.gpu_platform)
    if machines is None:
        title = f"the pool {pool.name} has no platform {submission.gpu_platform}"
        fixes = suggest_names("--gpu-platform {}", submission.gpu_platform, [*pool.platforms], LIST_POOLS)
        given = submission.gpu_platform
        yield make_preflight_problem("osmo-platform-unknown", title, "--gpu-platform", given, "", *fixes)
        return
    yield from _check_mounts(submission, machines)
    yield from _check_free_gpus(submission, pool)


def _check_pool_status(pool: Pool) -> Iterator[Problem]:
    if pool.status in ("", ONLINE):
        return
    refused = pool.status == MAINTENANCE
    state = "closed for maintenance" if refused else f"not online ({pool.status.lower()})"
    why = "" if refused else "OSMO accepts the workflow but starts it only when the pool is online."
    other = Suggestion("--pool NAME", "another pool: `osmo pool list` lists them")
    title = f"the pool {pool.name} is {state}"
    severity: Severity = "error" if refused else "warning"
    yield make_preflight_problem("osmo-pool-closed", title, "--pool", pool.name, why, other, severity=severity)


def _check_exec_timeout(submission: OsmoSubmissionSpec, pool: Pool) -> Iterator[Problem]:
    try:
        limit = resources.parse_duration(submission.exec_timeout)
        pool_limit = resources.parse_duration(pool.max_exec_timeout)
    except QuantityError:
        return
    if limit > pool_limit:
        title = f"the pool {pool.name} limits the run time to {pool.max_exec_timeout}"
        why = "OSMO silently uses that limit and ends the run after it."
        fix, given = Suggestion(f"--exec-timeout {pool.max_exec_timeout}"), submission.exec_timeout
        yield make_preflight_problem("osmo-time-cut", title, "--exec-timeout", given, why, fix, severity="warning")


def _check_mounts(submission: OsmoSubmissionSpec, machines: PoolPlatform) -> Iterator[Problem]:
    for mount in submission.mounts:
        if mount in machines.allowed_mounts:
            continue
        where, suggestion = "--shared-memory", Suggestion("--shared-memory none", "loads data in one process")
        if mount in machines.default_mounts:
            title = f"the platform {submission.gpu_platform} always mounts {mount} and refuses a request for it"
            suggestion = Suggestion("--shared-memory none", "and --num-workers N to load data in several processes")
            yield make_preflight_problem("osmo-mount-there", title, where, "mount", "", suggestion)
        else:
            title = f"the platform {submission.gpu_platform} does not allow mounting the machine's {mount}"
            yield make_preflight_problem("osmo-mount-refused", title, where, "mount", "", suggestion)
    if not submission.shared_memory:
        yield from _check_shared_memory(submission, machines)


def _check_shared_memory(submission: OsmoSubmissionSpec, machines: PoolPlatform) -> Iterator[Problem]:
    """Note that the platform offers shared memory if the setting is not set."""
    shared, where = resources.SHARED_MEMORY_FOLDER, "--shared-memory"
    if shared in machines.allowed_mounts:
        title = f"the platform {submission.gpu_platform} allows mounting the machine's {shared}"
        suggestion = Suggestion("--shared-memory mount", "loads data in several processes")
        yield make_preflight_problem("osmo-mount-possible", title, where, "none", "", suggestion, severity="note")
    elif shared in machines.default_mounts:
        title = f"the platform {submission.gpu_platform} always mounts {shared}"
        suggestion = Suggestion("--num-workers N", "loads data in N processes")
        yield make_preflight_problem("osmo-mount-there", title, where, "none", "", suggestion, severity="note")


def check_gpu_machines(submission: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Warn if no machine of the platform has so many GPUs: OSMO accepts the workflow, and it waits for its limit.

    Failures, and platforms without machines, are reported by other checks.
    """
    name, gpus = submission.gpu_platform, submission.gpus
    if not gpus:
        return
    try:
        largest = service.list_largest_gpu_counts(submission.cli, submission.pool, seconds)
    except CommandFailed:
        return
    if (count := largest.get(name, gpus)) >= gpus:
        return
    title = f"no machine of the platform {name} has {gpus} GPU{'s' if gpus > 1 else ''}: the workflow will not start"
    why = f"Its machines have {f'at most {count}' if count else 'none'}; OSMO accepts the workflow and lets it wait."
    fixes = [Suggestion(f"--gpu-platform {other}") for other, most in sorted(largest.items()) if most >= gpus]
    fixes += [Suggestion(f"--gpus {count}")] if count else []
    fixes = fixes or [Suggestion(f"osmo resource list --pool {submission.pool}", "lists the machines")]
    yield make_preflight_problem("osmo-gpus-missing", title, "--gpu-platform", name, why, *fixes, severity="warning")


def _check_free_gpus(submission: OsmoSubmissionSpec, pool: Pool) -> Iterator[Problem]:
    counts = [pool.free_gpus] if submission.priority == LOW_PRIORITY else [pool.free_gpus, pool.quota_gpus]
    if pool.total_gpus and any(count is not None and count <= 0 for count in counts):
        title = f"no GPU of the pool {pool.name} is free now: the workflow will wait"
        suggestion = Suggestion("osmo pool list", "shows the usage")
        yield make_preflight_problem("osmo-pool-full", title, "--pool", pool.name, "", suggestion, severity="note")
