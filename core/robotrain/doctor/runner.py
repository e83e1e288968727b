"""Run all health checks in parallel, each with a timeout, and apply the fixes that are safe."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from robotrain.doctor import checks
from robotrain.errors import Rejected, Suggestion
from robotrain.model.health import HealthCheck, HealthFix, HealthResult, HealthState, report_failure, report_warning
from robotrain.plugins import calls
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A check with its findings."""

    check: HealthCheck
    distribution: str
    """The package of the plugin; empty for robotrain's own checks."""
    is_named_platform: bool = False
    """Whether the user named its platform."""
    findings: tuple[HealthResult, ...] = ()
    is_overdue: bool = False
    """Whether it gave no answer in its time, so that nothing is known."""

    @property
    def state(self) -> HealthState:
        """The worst state of its findings."""
        states = {finding.state for finding in self.findings}
        return "fail" if "fail" in states else "warn" if "warn" in states else "ok"

    @property
    def fixes(self) -> list[HealthFix]:
        """The fixes of its findings."""
        return [finding.fix for finding in self.findings if finding.fix]


def run_checks(results: Sequence[CheckResult], limit: float) -> list[CheckResult]:
    """Run the checks in parallel and return them with their findings."""
    answers = calls.call_all_with_timeout([_make_call(result.check) for result in results], limit)
    done = []
    for result, (found, error) in zip(results, answers, strict=True):
        failed = (_make_failed_check_finding(result, error),) if error else ()
        findings = failed or _weigh_findings(result, found or ())
        done.append(replace(result, findings=findings, is_overdue=isinstance(error, calls.PluginTimeout)))
    return done


def _weigh_findings(result: CheckResult, findings: Iterable[HealthResult]) -> tuple[HealthResult, ...]:
    """Return the findings; what the named platform requires and lacks is a failure."""
    named = result.is_named_platform
    return tuple(replace(finding, state="fail") if finding.required and named else finding for finding in findings)


def apply_fixes(
    results: Sequence[CheckResult], limit: float, on_message: Callable[[str], None]
) -> tuple[list[CheckResult], list[str]]:
    """Apply all fixes and run their checks again; return the results and what was done."""
    done = [message for result in results for message in _run_fixes(result.fixes, on_message)]
    repeated = iter(run_checks([result for result in results if result.fixes], limit))
    return [next(repeated) if result.fixes else result for result in results], done


def _run_fixes(fixes: Iterable[HealthFix], on_message: Callable[[str], None]) -> Iterator[str]:
    for fix in fixes:
        on_message(f"{fix.text} …")
        try:
            message = fix.apply()
        except (OSError, Rejected) as error:
            on_message(f"  failed: {redact(str(error))}")
            continue
        on_message(f"  {message}")
        yield message


def _make_call(check: HealthCheck) -> Callable[[], list[HealthResult]]:
    def call() -> list[HealthResult]:
        found = list(check.run())
        if not all(isinstance(finding, HealthResult) for finding in found):
            raise TypeError("a check must return robotrain.model.health.HealthResult objects")
        return found

    return call


def _make_failed_check_finding(result: CheckResult, error: BaseException) -> HealthResult:
    """Return the finding of a check that failed: a warning for a plugin's check."""
    if isinstance(error, calls.PluginTimeout):
        way = Suggestion(f"ROBOTRAIN_HOOK_SECONDS={LONGER_SECONDS} robotrain doctor …", "gives it more time")
        return report_failure(str(error), way) if result.is_named_platform else report_warning(str(error), way)
    text = f"the check itself failed: {type(error).__name__}: {redact(str(error))}"
    return report_warning(text) if result.distribution else report_failure(text)


LONGER_SECONDS = 30


RUNS_HERE = "runs_here"
"""The feature of platforms that work on this machine."""


def list_checks(plugins: "Plugins", platform: str, online: bool) -> list[CheckResult]:
    """Return all checks that apply, only those of `platform` if it is given."""
    local = _has_local_platform(plugins, platform)
    own: dict[str, Callable[[], Iterable[HealthResult]]] = {
        "robotrain": checks.check_versions,
        "plugins": partial(checks.check_plugins, plugins, platform),
        "state folder": checks.check_state_folder,
        "records": checks.check_records,
        "leftovers": checks.check_leftovers,
        "cache folder": checks.check_cache_folder,
        "cache": checks.check_cache,
        "settings files": checks.check_settings_files,
        "clock": checks.check_clock,
        "completion": checks.check_completion,
    }
    found = [CheckResult(check=HealthCheck(name=name, run=run), distribution="") for name, run in own.items()]
    for claim, check in plugins.list_health_checks(platform):
        if (online or not check.online) and (local or not check.local_only):
            found.append(CheckResult(check=check, distribution=claim.distribution, is_named_platform=bool(platform)))
    return found


def _has_local_platform(plugins: "Plugins", platform: str) -> bool:
    """Return whether the platform, or any if none is given, works on this machine."""
    named = (found for name, found in plugins.platforms().items() if platform in ("", name))
    return any(found.capabilities.feature(RUNS_HERE) for found in named)
