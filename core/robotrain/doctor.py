"""The checks of `robotrain doctor`: robotrain's own, those of plugins, all run in parallel; and their safe fixes."""

import itertools
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.deadline import DeadlineExceeded
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheEntry

from robotrain import __version__, network_deadline
from robotrain.config import project_file, variables
from robotrain.environment_health import check_environment
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.installation import find_version, format_install_command
from robotrain.model.amounts import format_age, format_size, format_time
from robotrain.model.health import (
    Check,
    HealthFix,
    HealthResult,
    HealthState,
    convert_problem,
    find_results,
    report_failure,
    report_note,
    report_ok,
    report_warning,
)
from robotrain.plugins.discovery import list_built_in_distributions
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store import files, name_lock, ownership, records
from robotrain.submission import checker
from robotrain.submission.container_plugins import load_workload_container


def check_versions() -> Iterator[HealthResult]:
    """Check that all distributions of robotrain have the same version."""
    versions = {name: find_version(name) for name in sorted(list_built_in_distributions())}
    other_versions = {name: number for name, number in versions.items() if number not in ("", __version__)}
    for name, number in other_versions.items():
        suggestion = Suggestion(format_install_command(f"{name}=={__version__}"), "or upgrade all of them together")
        text = f"{name} is {number}, but robotrain-core is {__version__}: they must have the same version"
        yield report_failure(text, suggestion)
    if not other_versions:
        yield report_ok(f"{__version__}, on Python {platform.python_version()} ({sys.executable})")


def check_plugins(installed: Plugins, platform_name: str) -> Iterator[HealthResult]:
    """Report plugins that failed; only the plugin of the chosen platform stops a submit."""
    for failure in installed.failures.values():
        claim, suggestions = failure.claim, [*failure.suggestions]
        if claim.built_in:
            suggestions.append(Suggestion(format_install_command(claim.package, change="reinstall"), "repairs it"))
        if platform_name and (claim.family, claim.name) == ("platform", platform_name):
            yield report_failure(str(failure), *suggestions)
            continue
        effect = "" if claim.family else ": its rules are not enforced"
        yield report_warning(f"{failure}{effect}", *suggestions)
    if not installed.failures:
        packages = {claim.distribution for claim in installed.claims}
        yield report_ok(f"{len(installed.claims)} plugins from {len(packages)} packages, all loaded")


def check_settings_files() -> Iterator[HealthResult]:
    """Check that `.env.local`, `.env` and `robotrain.toml` can be read."""
    working_folder = Path.cwd()
    read_files: list[str] = []
    problems: list[Problem] = []
    for layer in variables.read_dotenv_files(working_folder):
        read_files.append(layer.layer)
        problems += layer.problems
    if project := project_file.load_project(working_folder):
        read_files.append(os.path.relpath(project.folder / files.PROJECT_FILE))
        problems += project.problems
    yield from map(convert_problem, problems)
    if not problems:
        yield report_ok(", ".join(read_files) if read_files else f"none in {working_folder}")


def check_configuration_folder() -> Iterator[HealthResult]:
    """Check that nobody else can write to the folder of the user's own configuration."""
    folder = files.get_configuration_folder()
    ownership_problems = _find_ownership_problems(folder)
    yield from map(convert_problem, ownership_problems)
    if not ownership_problems:
        yield report_ok(f"{folder}" if folder.exists() else f"none in {folder.parent}")


def _find_ownership_problems(folder: Path) -> list[Problem]:
    own_folders = [own_folder for own_folder in files.list_own_folders() if own_folder.path == folder]
    return [*ownership.find_ownership_problems(own_folders)]


MAX_SKEW_SECONDS = 10.0
EARLIEST_TIME = 1_760_000_000.0
"""October 2025: an earlier time is wrong."""
SET_CLOCK = Suggestion("timedatectl set-ntp true", "or set the clock otherwise")


def check_clock() -> Iterator[HealthResult]:
    """Compare the clock with this program's age, the newest record, and the clock of the state folder's disk."""
    now, newest_time = time.time(), 0.0
    if run := next(records.iterate_runs(), None):
        with suppress(Rejected):
            newest_time = records.read_record(run).created
    skew = _measure_disk_skew()
    if now < EARLIEST_TIME:
        yield report_warning(f"it shows {format_time(now)}, before this program was written", SET_CLOCK)
    elif now < newest_time - MAX_SKEW_SECONDS:
        text = f"it shows {format_time(now)}, but the newest run was recorded {format_time(newest_time)}"
        yield report_warning(text, SET_CLOCK)
    elif abs(skew) > MAX_SKEW_SECONDS:
        text = f"the disk of {files.get_state_folder()} is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        yield report_warning(f"{text}: the order of runs from several machines may be wrong", SET_CLOCK)
    else:
        yield report_ok(format_time(now))


def _measure_disk_skew() -> float:
    """Return how many seconds the clock of the state folder's disk is ahead; 0 if it cannot be written."""
    folder = files.get_state_folder()
    if disk_cache.find_existing_parent(folder) != folder:
        return 0.0
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b" ")
            file.flush()
            return os.fstat(file.fileno()).st_mtime - time.time()
    except OSError:
        return 0.0


def check_checker(installed: Plugins) -> Iterator[HealthResult]:
    """Report which Python asks the trainers about options; none is no warning."""
    choice, problems = checker.read_choice()
    yield from map(convert_problem, problems)
    if choice and choice.value in (checker.NONE, checker.BUILD):
        wish = "nobody is asked" if choice.value == checker.NONE else "environments are built for it"
        yield report_ok(f"{wish} about the options of a trainer ({choice.origin})")
        return
    absent_workloads = list[str]()
    for workload in installed.workloads().values():
        plugin = load_workload_container({f"workload.{workload.name}": workload.container_plugin})
        if plugin is None or "check_command" not in vars(plugin):
            continue
        checker_search = checker.find_checker(checker.get_asked_environment(plugin), checker.NO_OPTIONS)
        if checker_search.checker:
            yield report_ok(f"{workload.name}: {checker_search.checker.name}")
        elif choice:
            yield from map(convert_problem, checker_search.problems)
        else:
            absent_workloads.append(workload.name)
    if absent_workloads:
        trainer_names = ", ".join(absent_workloads)
        yield report_ok(
            f"the trainers of {trainer_names} are not on this machine; --checker build {checker.BUILD_REMARK}"
        )


COMPLETION_FILES = {
    "bash": (".bash_completions/robotrain.sh", ".bashrc"),
    "zsh": (".zfunc/_robotrain", ".zshrc"),
    "fish": (".config/fish/completions/robotrain.fish",),
}
"""Files with the completion of each shell, below the home folder."""
COMPLETION_MARK = "_ROBOTRAIN_COMPLETE"


def check_completion() -> Iterator[HealthResult]:
    """Report whether the shell completes robotrain; a note at most."""
    shell = Path(os.environ.get("SHELL", "")).name
    places = COMPLETION_FILES.get(shell, ())
    is_installed = False
    for path in places:
        with suppress(OSError, ValueError):
            is_installed |= COMPLETION_MARK.encode() in files.read_state_file(Path.home() / path)
    if is_installed:
        yield report_ok(f"{shell} completes robotrain")
    elif places:
        yield report_note(f"{shell} does not complete robotrain yet: `robotrain --install-completion` installs it")
    else:
        yield report_note("bash, zsh and fish can complete robotrain: `robotrain --install-completion`")


MIN_FREE_BYTES = 10**9
PROBE_BYTES = 4096


def check_folder(folder: Path, name: str, free_space: Suggestion) -> Iterator[HealthResult]:
    """Check a folder that a variable names; `free_space` removes what is old in it."""
    folder_suggestion = Suggestion(f"{name}=FOLDER robotrain …", "a writable folder")
    if problems := _find_ownership_problems(folder):
        yield from map(convert_problem, problems)
        return
    if reason := _describe_write_failure(folder):
        yield report_failure(f"{folder} cannot be written: {reason}", folder_suggestion)
        return
    kind = files.get_filesystem(folder)
    free = disk_cache.get_free_bytes(folder)
    shared_note = "shared over a network" if files.is_network_filesystem(kind) else ""
    folder_facts = (kind, shared_note, f"{format_size(free)} free", "" if folder.exists() else "created when needed")
    facts_text = ", ".join(filter(None, folder_facts))
    if free < MIN_FREE_BYTES:
        larger = Suggestion(f"{name}=FOLDER robotrain …", "on a larger disk")
        yield report_warning(f"{folder} has little free space ({facts_text})", free_space, larger)
    else:
        yield report_ok(f"{folder} ({facts_text})")


def _describe_write_failure(folder: Path) -> str:
    """Return why the folder cannot be written; empty if it can."""
    parent = disk_cache.find_existing_parent(folder)
    if not parent.is_dir():
        return f"{parent} is a file"
    if parent != folder:
        return "" if os.access(parent, os.W_OK | os.X_OK) else f"it does not exist, and {parent} is not writable"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))  # an empty file can be created on a full disk
            file.flush()
    except OSError as error:
        return str(error.strerror or error)
    return ""


MIN_AGE_SECONDS = 24 * 3600
"""A younger file may be in use."""
SCRATCH_PATTERNS = ("runs/.*", "runs/*/.record-*.tmp", "runs/*/plan/.robotrain-plan-*.tmp", "payloads/.*")


def check_leftovers() -> Iterator[HealthResult]:
    """Report temporary files of interrupted commands that are old enough to remove."""
    leftovers = list(_find_leftovers())
    if not leftovers:
        yield report_ok("none")
        return
    size = sum(disk_cache.measure_folder(path).size if path.is_dir() else _measure_file(path) for path in leftovers)
    leftover_text = f"{len(leftovers)} temporary file{'' if len(leftovers) == 1 else 's'} of interrupted commands"
    fix = HealthFix(f"remove {leftover_text} below {files.get_state_folder()}", lambda: _remove_leftovers(leftovers))
    yield HealthResult("ok", f"{leftover_text}, {format_size(size)}", fix=fix)


def _find_leftovers() -> Iterator[Path]:
    """Yield temporary files of commands, and payloads that no stored plan links to."""
    state = files.get_state_folder()
    for pattern in SCRATCH_PATTERNS:
        yield from (path for path in state.glob(pattern) if _is_old(path))
    for payload in state.glob("payloads/*.zip"):
        if _is_old(payload) and payload.stat().st_nlink == 1:
            yield payload


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > MIN_AGE_SECONDS
    except OSError:
        return False


def _measure_file(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _remove_leftovers(paths: list[Path]) -> str:
    count = 0
    for path in paths:
        if not _is_old(path):  # in use again
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)
        count += 1
    return f"removed {count}"


COUNT_SECONDS = 1.5
"""The maximal time to measure the cache: on a slow disk, the size is `at least`."""
UNUSED_SECONDS = 30 * 24 * 3600


def check_cache() -> Iterator[HealthResult]:
    """Report the cached environments and data."""
    cache_entries = disk_cache.list_cache_entries(files.get_cache_folder(), deadline=time.monotonic() + COUNT_SECONDS)
    for entry in cache_entries:
        if not entry.complete and not entry.busy:
            fix = HealthFix(f"remove {entry.path}", partial(_remove_entry, entry))
            text = f"{entry.name} is incomplete ({_format_sizes([entry])}); it is created again when needed"
            yield report_warning(text, fix=fix)
    complete_entries = [entry for entry in cache_entries if entry.complete]
    if not complete_entries:
        yield report_ok("empty: the first run builds its environment")
        return
    busy_count = sum(entry.busy for entry in complete_entries)
    count = f"{len(complete_entries)} {'entry' if len(complete_entries) == 1 else 'entries'}"
    text = f"{count}, {_format_sizes(complete_entries)}" + (f", {busy_count} in use" if busy_count else "")
    idle_entries = disk_cache.choose_prunable(complete_entries, unused=UNUSED_SECONDS, limit=None, now=time.time())
    if not all(entry.folder_size.is_complete for entry in complete_entries):
        text += f"; counting stopped after {COUNT_SECONDS:g} s: `du -sh {files.get_cache_folder()}` counts all"
    if idle_entries:
        text += f"; {len(idle_entries)} not used for a month ({_format_sizes(idle_entries)}): "
        text += "`robotrain runs --prune --cache --unused 30d` removes them"
    yield report_ok(text)


def _format_sizes(entries: Sequence[CacheEntry]) -> str:
    is_exact = all(entry.folder_size.is_complete for entry in entries)
    return ("" if is_exact else "at least ") + format_size(sum(entry.folder_size.size for entry in entries))


def _remove_entry(entry: CacheEntry) -> str:
    if disk_cache.remove_entry(entry):
        return f"removed, {format_size(entry.folder_size.reclaimable)} freed"
    return "not removed: a run uses it"


MAX_RECORDS = 1000
"""How many of the newest records are read."""
MAX_FINDINGS = 5


def check_records() -> Iterator[HealthResult]:
    """Warn of unreadable records and interrupted submits."""
    count, problem_results = 0, list[HealthResult]()
    run_names = records.iterate_runs()
    for run in itertools.islice(run_names, MAX_RECORDS):
        count += 1
        try:
            record = records.read_record(run)
        except records.UnknownRun:  # removed in between
            continue
        except Rejected as rejected:
            broken_result = convert_problem(rejected.problems[0])
            problem_results.append(report_warning(broken_result.text, *broken_result.suggestions))
            continue
        if record.phase == "sending" and not name_lock.is_being_submitted(run):
            status = Suggestion(f"robotrain status {run}", f"looks for it on {record.platform}")
            retry_suggestion = Suggestion(
                "the same `robotrain submit …`", "finds or submits it; it is never submitted twice"
            )
            age_text = format_age(time.time() - record.created)
            text = f"the submit of {run} to {record.platform} was interrupted {age_text}"
            problem_results.append(report_warning(f"{text}; it is unknown whether it runs", status, retry_suggestion))
    yield from problem_results[:MAX_FINDINGS]
    if len(problem_results) > MAX_FINDINGS:
        text = f"and {len(problem_results) - MAX_FINDINGS} more like these"
        yield report_warning(text, Suggestion("robotrain runs --state interrupted"))
    if not problem_results:
        newest_note = "the newest " if next(run_names, None) else ""
        text = f"{newest_note}{count} run{'' if count == 1 else 's'} recorded, all readable"
        yield report_ok(text if count else "no runs yet")


WORST_FIRST: tuple[HealthState, ...] = ("fail", "warn", "note")


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

    @property
    def is_ready(self) -> bool:
        """Whether nothing that its platform needs is missing, as far as it answered."""
        return self.state != "fail" and not any(finding.required for finding in self.findings)

    @property
    def fixes(self) -> list[HealthFix]:
        """The fixes of its findings."""
        return [finding.fix for finding in self.findings if finding.fix]


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


def apply_fixes(
    results: Sequence[CheckResult], limit: float, on_message: Callable[[str], None]
) -> tuple[list[CheckResult], list[str]]:
    """Apply all fixes and run their checks again; return the results and what was done."""
    fix_reports = []
    for fix in (fix for result in results for fix in result.fixes):
        on_message(f"{fix.text} …")
        try:
            fix_reports.append(fix.apply())
        except (OSError, Rejected) as error:
            on_message(f"  failed: {redact(str(error))}")
        else:
            on_message(f"  {fix_reports[-1]}")
    repeated_checks = iter(run_checks([result for result in results if result.fixes], limit))
    return [next(repeated_checks) if result.fixes else result for result in results], fix_reports


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
    older_runs = Suggestion("robotrain runs --prune --older-than 30d", "removes old runs")
    unused_entries = Suggestion("robotrain runs --prune --cache --unused 30d", "removes what was not used for a month")
    own_checks: dict[str, Callable[[], Iterable[HealthResult]]] = {
        "robotrain": check_versions,
        "plugins": partial(check_plugins, plugins, platform),
        "state folder": partial(check_folder, files.get_state_folder(), "ROBOTRAIN_STATE", older_runs),
        "records": check_records,
        "leftovers": check_leftovers,
        "cache folder": partial(check_folder, files.get_cache_folder(), "ROBOTRAIN_CACHE", unused_entries),
        "cache": check_cache,
        "settings files": check_settings_files,
        "configuration folder": check_configuration_folder,
        "checker": partial(check_checker, plugins),
        "clock": check_clock,
        "completion": check_completion,
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


class Readiness(NamedTuple):
    """Which platforms a job can be sent to, as far as was checked."""

    ready: list[str]
    missing: dict[str, list[str]]
    """The names of the checks that found something missing, by platform."""
    unknown: list[str]
    """Platforms of which a check gave no answer."""


def find_readiness(results: Sequence[CheckResult], platform_names: Iterable[str]) -> Readiness:
    """Return which of these platforms are ready; none is if one of robotrain's own checks failed."""
    failed_checks = [result.check.name for result in results if not result.distribution and result.state == "fail"]
    readiness = Readiness([], {}, [])
    for name in platform_names:
        platform_results = [result for result in results if result.platform == name]
        failing_checks = failed_checks + [
            result.check.name for result in platform_results if not (result.is_overdue or result.is_ready)
        ]
        if failing_checks:
            readiness.missing[name] = list(dict.fromkeys(failing_checks))
        elif any(result.is_overdue for result in platform_results):
            readiness.unknown.append(name)
        else:
            readiness.ready.append(name)
    return readiness
