"""OSMO's setup on this machine: health checks (command, sign-in, versions, pool, retries), settings for `init`."""

import os
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from robotrain.cluster.answers import as_mapping
from robotrain.cluster.platform import run_checks
from robotrain.cluster.settings import read_configured_settings
from robotrain.errors import Rejected, Suggestion
from robotrain.model.health import (
    HealthCheck,
    HealthResult,
    convert_problem,
    report_failure,
    report_missing,
    report_ok,
    report_warning,
)
from robotrain.model.platform import PlatformDefault
from robotrain_azure.settings import suggest_workspace_settings

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec.submission_spec import make_submission_spec

QUERY_SECONDS = 4.5
"""Less than the time limit of a check."""
INSTALL_SUGGESTION = Suggestion(
    "--osmo-cli /path/to/osmo", "if it is installed elsewhere; or osmo_cli in robotrain.toml"
)
POOL_SUGGESTION = Suggestion(
    "--pool NAME", "at each submit, or OSMO_POOL, or pool in robotrain.toml; `osmo pool list` lists the pools"
)


def list_health_checks() -> Iterable[HealthCheck]:
    """Return this platform's health checks."""
    return (
        HealthCheck(name="osmo command", run=check_command),
        HealthCheck(name="osmo service", run=check_service, online=True),
        HealthCheck(name="osmo pool", run=check_configured_pool, online=True),
        HealthCheck(name="osmo retries", run=check_retry_setting, online=True),
    )


def check_command() -> Iterator[HealthResult]:
    """Look for the command, without a network call. Without a pool, OSMO is not used and nothing fails."""
    settings = read_configured_settings(OsmoSettings, "osmo")
    if path := _find_command(settings):
        yield report_ok(path)
        if not settings.pool:
            yield report_missing("no pool is set", POOL_SUGGESTION)
        return
    text = f"there is no `{settings.osmo_cli}` command, which submitting to OSMO needs"
    yield report_failure(text, INSTALL_SUGGESTION) if settings.pool else report_missing(text, INSTALL_SUGGESTION)


def check_service() -> Iterator[HealthResult]:
    """Check that the service answers and that command, service and the `server` setting have the same version."""
    from robotrain_osmo.preflight import service

    settings = read_configured_settings(OsmoSettings, "osmo")
    if not _find_command(settings):
        return
    try:
        versions = service.query_versions(settings.osmo_cli, QUERY_SECONDS)
    except Rejected as rejected:
        yield from map(convert_problem, rejected.problems)
        return
    if not versions.service:
        yield report_failure(
            f"the OSMO service does not answer (command {versions.client}): you are signed out, or it is unreachable",
            Suggestion("osmo login URL", "the URL of your OSMO service"),
        )
        return
    found = [convert_problem(problem) for problem in service.compare_versions(settings.server, versions)]
    yield from found or [report_ok(f"service {versions.service}, command {versions.client}")]


def check_configured_pool() -> Iterator[HealthResult]:
    """Check that you may use the pool, which needs a valid sign-in."""
    from robotrain_osmo.preflight import service

    settings = read_configured_settings(OsmoSettings, "osmo")
    if settings.pool and _find_command(settings):
        problems = run_checks([partial(service.check_pool, [make_submission_spec(settings)], QUERY_SECONDS)])
        found = [convert_problem(problem) for problem in problems if problem.severity != "note"]
        yield from found or [report_ok(f"{settings.pool}, with {settings.gpu_platform}")]


def check_retry_setting() -> Iterator[HealthResult]:
    """Check that OSMO restarts preempted tasks, if you may read that setting."""
    from robotrain_osmo.preflight import service

    settings = read_configured_settings(OsmoSettings, "osmo")
    if not _find_command(settings):
        return
    try:
        count = service.query_max_retries(settings.osmo_cli, QUERY_SECONDS)
    except failures.CommandFailed as refused:
        if refused.failure.code == "platform-forbidden":  # other failures are reported by check_service
            text = "only OSMO's administrators can see whether preempted tasks are restarted"
            yield report_warning(text, service.RETRY_SUGGESTION)
        return
    restarted = report_ok(f"a preempted task is restarted at most {count} times")
    yield restarted if count else convert_problem(service.make_no_retries_problem())


def _find_command(settings: OsmoSettings) -> str | None:
    return shutil.which(os.path.expanduser(settings.osmo_cli))


SUGGEST_SECONDS = 10.0
"""For each of at most two queries."""
LOGIN_FILE = "login.yaml"


def suggest_settings() -> dict[str, PlatformDefault]:
    """Return the pool and its platform, if one is the default or the only one, and a workspace that is complete."""
    found = {"pool": PlatformDefault("", ""), "gpu_platform": PlatformDefault("", "")}
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    config = os.environ.get("OSMO_CONFIG_FILE_DIR") or Path(config, "osmo")  # where `osmo` keeps the sign-in
    if Path(config, LOGIN_FILE).is_file():
        found |= _query_pool(read_configured_settings(OsmoSettings, "osmo").osmo_cli)
    of_workspace = suggest_workspace_settings()
    return found | (of_workspace if all(setting.value for setting in of_workspace.values()) else {})


def _query_pool(cli: str) -> dict[str, PlatformDefault]:
    """Return the user's pool from the service; empty values if it does not answer or several pools are possible."""
    try:
        pools = {pool.name: pool for pool in service.list_pools(cli, SUGGEST_SECONDS)}
        answer = service.query_json(cli, "profile", "list", "-t", "json", seconds=SUGGEST_SECONDS)
    except CommandFailed as error:
        return {"pool": PlatformDefault("", f"OSMO does not answer: {error.failure.title}")}
    default = as_mapping(as_mapping(answer).get("profile")).get("pool")
    name = default if default in pools else next(iter(pools)) if len(pools) == 1 else None
    if name is None:
        return {"pool": PlatformDefault("", f"one of {', '.join(sorted(pools)) or 'none: you have access to no pool'}")}
    machines = sorted(pools[name].platforms)
    why = "the default pool of your OSMO profile" if default else "your only pool"
    platform = PlatformDefault("", f"one of {', '.join(machines)}" if machines else "")
    if len(machines) == 1:
        platform = PlatformDefault(machines[0], "its only platform")
    return {"pool": PlatformDefault(name, why), "gpu_platform": platform}
