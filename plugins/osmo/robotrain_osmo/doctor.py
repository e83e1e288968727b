"""What could go wrong with OSMO from this machine: its command, the sign-in, the versions, the pool."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

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

from robotrain_osmo.settings import OsmoSettings

if TYPE_CHECKING:
    from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec

QUERY_SECONDS = 4.5
"""Less than a check may take."""
FORBIDDEN_CODE = "osmo-forbidden"
INSTALL_SUGGESTION = Suggestion(
    "--osmo-cli /path/to/osmo", "when it is installed elsewhere; osmo_cli in robotrain.toml"
)
POOL_SUGGESTION = Suggestion(
    "--pool NAME", "at each submit, OSMO_POOL, or pool in robotrain.toml; `osmo pool list` shows them"
)


def list_health_checks() -> Iterable[HealthCheck]:
    """All of this platform's."""
    return (
        HealthCheck(name="osmo command", run=check_command),
        HealthCheck(name="osmo service", run=check_service, online=True),
        HealthCheck(name="osmo pool", run=check_configured_pool, online=True),
        HealthCheck(name="osmo retries", run=check_retry_setting, online=True),
    )


def check_command() -> Iterator[HealthResult]:
    """The command, by where it lies; nobody is asked. Who has set no pool does not use OSMO from here."""
    settings = _read_settings()
    found = shutil.which(os.path.expanduser(settings.osmo_cli))
    if found is None:
        says = f"there is no `{settings.osmo_cli}` command: nothing can be sent to OSMO from here"
        yield report_failure(says, INSTALL_SUGGESTION) if settings.pool else report_missing(says, INSTALL_SUGGESTION)
    else:
        yield report_ok(found)
    if found and not settings.pool:
        yield report_missing("no pool is set", POOL_SUGGESTION)


def check_service() -> Iterator[HealthResult]:
    """Whether the service answers, and whether command, service and the setting are of one version."""
    from robotrain_osmo.preflight import service

    if (settings := _get_usable_settings()) is None:
        return
    try:
        told = service.query_versions(settings.osmo_cli, QUERY_SECONDS)
    except Rejected as rejected:
        yield from map(convert_problem, rejected.problems)
        return
    if not told.service:
        yield report_failure(
            f"no service answers the command ({told.client}): signed out, or out of reach",
            Suggestion("osmo login URL", "the address of your OSMO service"),
        )
        return
    found = list(map(convert_problem, service.compare_versions(_make_submission_spec(settings), told)))
    yield from found or [report_ok(f"service {told.service}, command {told.client}")]


def check_configured_pool() -> Iterator[HealthResult]:
    """Whether the pool is there for you, which needs a sign-in that counts."""
    from robotrain_osmo.client import service
    from robotrain_osmo.preflight import service as preflight_service

    settings = _get_usable_settings()
    if settings is None or not settings.pool:
        return
    try:
        told = preflight_service.find_pool_problems(
            _make_submission_spec(settings), service.list_pools(settings.osmo_cli, QUERY_SECONDS)
        )
        found = [convert_problem(problem) for problem in told if problem.severity != "note"]
    except Rejected as rejected:
        found = list(map(convert_problem, rejected.problems))
    yield from found or [report_ok(f"{settings.pool}, with {settings.gpu_platform}")]


def check_retry_setting() -> Iterator[HealthResult]:
    """Whether a task that was preempted is started again, as far as OSMO tells."""
    from robotrain_osmo.client import failures
    from robotrain_osmo.preflight import service

    if (settings := _get_usable_settings()) is None:
        return
    try:
        count = service.query_max_retries(settings.osmo_cli, QUERY_SECONDS)
    except failures.CommandFailed as refused:
        if refused.failure.code == FORBIDDEN_CODE:  # the others are of the service, and told there
            yield report_warning(
                "whether a preempted task is started again OSMO tells its administrators alone",
                service.RETRY_SUGGESTION,
            )
        return
    yield (
        report_ok(f"a preempted task is started again, {count} times at most")
        if count
        else convert_problem(service.make_no_retries_problem())
    )


def _get_usable_settings() -> OsmoSettings | None:
    """The settings, where there is a command to ask with."""
    settings = _read_settings()
    return settings if shutil.which(os.path.expanduser(settings.osmo_cli)) else None


def _make_submission_spec(settings: OsmoSettings) -> "OsmoSubmissionSpec":
    """What a submit would look with."""
    from robotrain.model.workload import WorkloadProfile

    from robotrain_osmo.spec import resources
    from robotrain_osmo.spec.submission_spec import OsmoSubmissionSpec

    return OsmoSubmissionSpec(
        run="",
        cli=settings.osmo_cli,
        pool=settings.pool or "",
        server=settings.server,
        task="",
        gpu_platform=settings.gpu_platform,
        priority=settings.priority or "",
        exec_timeout=resources.resolve_resources(WorkloadProfile(), settings).exec_timeout,
        mounts=resources.list_mounts(settings),
        shared_memory=settings.shared_memory or "",
    )


def _read_settings() -> OsmoSettings:
    """As this folder says them: the environment, `.env` files, robotrain.toml; what is not valid counts as not said."""
    from robotrain.config import project_file as projects
    from robotrain.config.coerce import coerce_values
    from robotrain.config.layers import LayerStack, read_dotenv_files, read_environment
    from robotrain.config.request import Request, make_variable_name

    here = Path.cwd()
    names = (read_environment(), *read_dotenv_files(here))
    profile = next((value for layer in names if (value := layer.find_first((make_variable_name("profile"),)))), None)
    project = projects.load_project(here, profile)
    request = Request(variables=names, project=project, complete=True)
    values = LayerStack(request).resolve_values(OsmoSettings, {}, {}, project.list_settings("osmo") if project else [])
    typed, _ = coerce_values(OsmoSettings, values)
    settings: OsmoSettings = typed
    return settings
