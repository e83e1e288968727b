"""Health checks of the installation: versions, plugins, settings files, clock, shell completion."""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime.machine import disk_cache

from robotrain import __version__
from robotrain.config import layers, project_file
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.installation import format_install_command
from robotrain.model.amounts import format_time
from robotrain.model.health import HealthResult, convert_problem, report_failure, report_ok, report_warning
from robotrain.plugins.claims import list_built_in_distributions
from robotrain.store import files, records

if TYPE_CHECKING:
    from robotrain.plugins.failures import PluginFailure
    from robotrain.plugins.manager import Plugins


def check_versions() -> Iterator[HealthResult]:
    """Check that all distributions of robotrain have the same version."""
    versions = {name: _installed_version(name) for name in sorted(list_built_in_distributions())}
    others = {name: number for name, number in versions.items() if number not in ("", __version__)}
    for name, number in others.items():
        suggestion = Suggestion(format_install_command(f"{name}=={__version__}"), "or upgrade all of them together")
        text = f"{name} is {number}, but robotrain-core is {__version__}: they must have the same version"
        yield report_failure(text, suggestion)
    if not others:
        yield report_ok(f"{__version__}, on Python {platform.python_version()} ({sys.executable})")


def check_plugins(installed: "Plugins", platform_name: str) -> Iterator[HealthResult]:
    """Report plugins that failed; only the plugin of the chosen platform stops a submit."""
    for failure in installed.failures.values():
        yield _failure_finding(failure, platform_name)
    if not installed.failures:
        packages = {claim.distribution for claim in installed.claims}
        yield report_ok(f"{len(installed.claims)} plugins from {len(packages)} packages, all loaded")


def _failure_finding(failure: "PluginFailure", platform_name: str) -> HealthResult:
    claim = failure.claim
    suggestions = [*failure.suggestions]
    if claim.built_in and not failure.hook:
        suggestions.append(Suggestion(format_install_command(claim.package, change="reinstall"), "repairs it"))
    if platform_name and (claim.family, claim.name) == ("platform", platform_name):
        return report_failure(str(failure), *suggestions)
    effect = "" if claim.family else ": its rules are not enforced"
    if failure.hook == "robotrain_health":
        effect = ": its checks did not run"
    return report_warning(f"{failure}{effect}", *suggestions)


def _installed_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # an extra
        return ""


def check_settings_files() -> Iterator[HealthResult]:
    """Check that `.env.local`, `.env` and `robotrain.toml` can be read."""
    here = Path.cwd()
    read: list[str] = []
    problems: list[Problem] = []
    for layer in layers.read_dotenv_files(here):
        read.append(layer.layer)
        problems += layer.problems
    if found := project_file.load_project(here):
        read.append(os.path.relpath(found.folder / files.PROJECT_FILE))
        problems += found.problems
    yield from map(convert_problem, problems)
    if not problems:
        yield report_ok(", ".join(read) if read else f"none in {here}")


MAX_SKEW_SECONDS = 10.0
EARLIEST_TIME = 1_760_000_000.0
"""October 2025: an earlier time is wrong."""
SET_CLOCK = Suggestion("timedatectl set-ntp true", "or set the clock otherwise")


def check_clock() -> Iterator[HealthResult]:
    """Compare the clock with this program's age, the newest record, and the clock of the state folder's disk."""
    now = time.time()
    newest = _newest_run_time()
    skew = _measure_disk_skew()
    if now < EARLIEST_TIME:
        yield report_warning(f"it shows {format_time(now)}, before this program was written", SET_CLOCK)
    elif now < newest - MAX_SKEW_SECONDS:
        text = f"it shows {format_time(now)}, but the newest run was recorded {format_time(newest)}"
        yield report_warning(text, SET_CLOCK)
    elif abs(skew) > MAX_SKEW_SECONDS:
        text = f"the disk of {files.get_state_folder()} is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        yield report_warning(f"{text}: the order of runs from several machines may be wrong", SET_CLOCK)
    else:
        yield report_ok(format_time(now))


def _newest_run_time() -> float:
    run = next(records.iterate_runs(), None)
    try:
        return records.read_record(run).created if run else 0.0
    except Rejected:
        return 0.0


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


COMPLETION_FILES = {
    "bash": (".bash_completions/robotrain.sh", ".bashrc"),
    "zsh": (".zfunc/_robotrain", ".zshrc"),
    "fish": (".config/fish/completions/robotrain.fish",),
}
"""Files with the completion of each shell, below the home folder."""
COMPLETION_MARK = "_ROBOTRAIN_COMPLETE"


def check_completion() -> Iterator[HealthResult]:
    """Report whether the shell completes robotrain; never a warning."""
    shell = Path(os.environ.get("SHELL", "")).name
    places = COMPLETION_FILES.get(shell, ())
    if any(_mentions_completion(Path.home() / place) for place in places):
        yield report_ok(f"{shell} completes robotrain")
    elif places:
        yield report_ok(f"{shell} does not complete robotrain yet: `robotrain --install-completion` installs it")
    else:
        yield report_ok("bash, zsh and fish can complete robotrain: `robotrain --install-completion`")


def _mentions_completion(path: Path) -> bool:
    try:
        return COMPLETION_MARK in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
