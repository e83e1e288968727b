"""Run all health checks in parallel, each with a timeout, and apply the fixes that are safe."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from robotrain.doctor import environment, storage
from robotrain.errors import Rejected
from robotrain.model.health import HealthCheck, HealthFix, HealthResult, HealthState, report_failure, report_warning
from robotrain.plugins import calls
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A check and what it saw. by: the plugin that brings it; empty for robotrain's own. named: its platform was."""

    check: HealthCheck
    distribution: str
    is_named_platform: bool = False
    findings: tuple[HealthResult, ...] = ()

    @property
    def state(self) -> HealthState:
        """The worst of its findings."""
        states = {finding.state for finding in self.findings}
        return "fail" if "fail" in states else "warn" if "warn" in states else "ok"

    @property
    def fixes(self) -> list[HealthFix]:
        """What could be mended."""
        return [finding.fix for finding in self.findings if finding.fix]


def run_checks(results: Sequence[CheckResult], limit: float) -> list[CheckResult]:
    """Every check done, side by side."""
    asked = calls.call_all_with_timeout([_make_call(one.check) for one in results], limit)
    return [
        replace(
            one,
            findings=(_check_failed_finding(one, answer.error),)
            if answer.error
            else _weigh_findings(one, answer.value or ()),
        )
        for one, answer in zip(results, asked, strict=True)
    ]


def _weigh_findings(result: CheckResult, findings: Iterable[HealthResult]) -> tuple[HealthResult, ...]:
    """What the platform that was named needs, and lacks, stops a submit."""
    return tuple(
        replace(found, state="fail") if found.required and result.is_named_platform else found for found in findings
    )


def apply_fixes(
    results: Sequence[CheckResult], limit: float, on_message: Callable[[str], None]
) -> tuple[list[CheckResult], list[str]]:
    """Do every fix, telling of each before and after; then what was mended is looked at again. What was done."""
    done = [word for one in results for word in _run_fixes(one.fixes, on_message)]
    again = iter(run_checks([one for one in results if one.fixes], limit))
    return [next(again) if one.fixes else one for one in results], done


def _run_fixes(fixes: Iterable[HealthFix], on_message: Callable[[str], None]) -> Iterator[str]:
    for fix in fixes:
        on_message(f"{fix.text} …")
        try:
            told = fix.apply()
        except (OSError, Rejected) as error:
            on_message(f"  that did not work: {redact(str(error))}")
            continue
        on_message(f"  {told}")
        yield told


def _make_call(check: HealthCheck) -> Callable[[], list[HealthResult]]:
    def call() -> list[HealthResult]:
        found = list(check.run())
        if not all(isinstance(finding, HealthResult) for finding in found):
            raise TypeError("a check answers with robotrain.model.health.HealthResult objects")
        return found

    return call


def _check_failed_finding(result: CheckResult, error: Exception) -> HealthResult:
    """A plugin's check may be wrong itself; where robotrain's own cannot look, a submit could not either."""
    overdue = isinstance(error, calls.PluginTimeout)
    says = str(error) if overdue else f"the check itself failed: {type(error).__name__}: {redact(str(error))}"
    return report_warning(says) if result.distribution else report_failure(says)


RUNS_HERE = "runs_here"
"""The feature of a platform that does the work on this very machine."""


def list_checks(plugins: "Plugins", platform: str, online: bool) -> list[CheckResult]:
    """All that matter, with `platform` for that one alone."""
    brought = plugins.list_health_checks(platform)
    here = _has_local_platform(plugins, platform)
    found = [CheckResult(check=check, distribution="") for check in _list_own_checks(plugins, platform)]
    for claim, check in brought:
        if (online or not check.online) and (here or not check.local_only):
            found.append(CheckResult(check=check, distribution=claim.distribution, is_named_platform=bool(platform)))
    return found


def _list_own_checks(plugins: "Plugins", platform: str) -> list[HealthCheck]:
    return [
        HealthCheck(name="robotrain", run=environment.check_versions),
        HealthCheck(name="plugins", run=partial(environment.check_plugins, plugins, platform)),
        HealthCheck(name="state folder", run=storage.check_state_folder),
        HealthCheck(name="records", run=storage.check_records),
        HealthCheck(name="leftovers", run=storage.check_leftovers),
        HealthCheck(name="cache folder", run=storage.check_cache_folder),
        HealthCheck(name="cache", run=storage.check_cache),
        HealthCheck(name="settings files", run=environment.check_settings_files),
        HealthCheck(name="clock", run=environment.check_clock),
        HealthCheck(name="completion", run=environment.check_completion),
    ]


def _has_local_platform(plugins: "Plugins", platform: str) -> bool:
    """Whether the chosen platform, or without one any of them, does the work on this machine."""
    every = plugins.platforms().items()
    return any(one.capabilities.feature(RUNS_HERE) for name, one in every if platform in ("", name))
