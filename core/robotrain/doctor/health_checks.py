"""The checks of `robotrain doctor`: robotrain's own, those of plugins, all run in parallel."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from robotrain_runtime.contract.deadline import DeadlineExceeded

from robotrain import network_deadline
from robotrain.doctor.environment import check_environment
from robotrain.doctor.folders import check_cache, check_configuration_folder, check_folder
from robotrain.doctor.installation import check_plugins, check_settings_files, check_versions
from robotrain.errors import Suggestion
from robotrain.model.health import (
    Check,
    HealthResult,
    HealthState,
    find_results,
    report_failure,
    report_warning,
)
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store import files

WORST_FIRST: tuple[HealthState, ...] = ("fail", "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A check with its findings."""

    check: Check
    distribution: str
    """The package of the plugin; empty for robotrain's own checks."""
    platform: str = ""
    """The platform that it is about; empty for none."""
    is_named_platform: bool = False
    """Whether the user named its platform."""
    findings: tuple[HealthResult, ...] = ()
    is_overdue: bool = False
    """Whether it gave no answer in its time, so that nothing is known."""

    @property
    def state(self) -> HealthState:
        """The worst state of its findings."""
        states = {finding.state for finding in self.findings}
        return next((state for state in WORST_FIRST if state in states), "ok")


def run_checks(results: Sequence[CheckResult], limit: float) -> list[CheckResult]:
    """Run the checks in parallel and return them with their findings."""
    check_replies = network_deadline.ask_all([[partial(find_results, result.check.run)] for result in results], limit)
    finished_checks = []
    for result, [(check_findings, error)] in zip(results, check_replies, strict=True):
        failed_findings = (_make_failed_check_finding(result, error),) if error else ()
        must_work = result.is_named_platform  # what it requires and lacks is a failure
        findings = failed_findings or tuple(
            replace(finding, state="fail") if finding.required and must_work else finding
            for finding in check_findings or ()
        )
        finished_checks.append(replace(result, findings=findings, is_overdue=isinstance(error, DeadlineExceeded)))
    return finished_checks


def _make_failed_check_finding(result: CheckResult, error: BaseException) -> HealthResult:
    """Return the finding of a check that failed: a warning for a plugin's check."""
    if isinstance(error, DeadlineExceeded):
        way = Suggestion(f"{network_deadline.VARIABLE}=30 robotrain doctor …", "gives it more time")
        return report_warning(str(error), way)
    text = f"the check itself failed: {type(error).__name__}: {redact(str(error))}"
    return report_warning(text) if result.distribution else report_failure(text)


def list_checks(plugins: Plugins, platform: str, online: bool) -> list[CheckResult]:
    """Return all checks that apply, only those of `platform` if it is given."""
    chosen_platforms = (candidate for name, candidate in plugins.platforms().items() if platform in ("", name))
    has_local_platform = any(candidate.capabilities.feature("runs_here") for candidate in chosen_platforms)
    older_runs = Suggestion("robotrain prune --older-than 30d", "removes old runs")
    unused_entries = Suggestion("robotrain prune --cache --unused 30d", "removes what was not used for a month")
    own_checks: dict[str, Callable[[], Iterable[HealthResult]]] = {
        "robotrain": check_versions,
        "plugins": partial(check_plugins, plugins, platform),
        "state folder": partial(check_folder, files.get_state_folder(), "ROBOTRAIN_STATE", older_runs),
        "cache folder": partial(check_folder, files.get_cache_folder(), "ROBOTRAIN_CACHE", unused_entries),
        "cache": check_cache,
        "settings files": partial(check_settings_files, plugins, platform),
        "configuration folder": check_configuration_folder,
    }
    results = [CheckResult(check=Check(name=name, run=run), distribution="") for name, run in own_checks.items()]
    workloads = plugins.workloads() if has_local_platform else {}  # elsewhere their environment is a container's
    for claim in plugins.claims:
        if claim.family == "workload" and (workload := workloads.get(claim.name)):
            check = Check(name=claim.name, run=partial(check_environment, workload))
            results.append(CheckResult(check=check, distribution=claim.distribution))
    for claim, check in plugins.list_checks(platform):
        if online or not check.online:
            about = claim.name if claim.family == "platform" else ""
            is_named = bool(platform)
            results.append(
                CheckResult(check=check, distribution=claim.distribution, platform=about, is_named_platform=is_named)
            )
    return results
