"""Failures of plugins: caught, named (which plugin, in what, why), with suggestions."""

import itertools
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.plugins import discovery
from robotrain.plugins.discovery import Claim
from robotrain.redaction import MAX_SENTENCE, redact

make_problem = Messages(__file__)

TRACEBACK_VARIABLE = "ROBOTRAIN_TRACEBACK"
OWN_PACKAGES = ("robotrain", "robotrain_runtime")


class UnsuitablePlugin(Exception):
    """A plugin that robotrain cannot use; the message says why."""

    def __init__(self, reason: str, *ways: Suggestion) -> None:
        super().__init__(reason)
        self.suggestions = ways


class PluginFailure(NamedTuple):
    """A failure of a plugin, by its claim; `hook` is the hook or method, empty when it did not load."""

    claim: Claim
    cause: BaseException
    hook: str = ""

    @property
    def reason(self) -> str:
        """Return the cause in one line, without secrets."""
        message = redact(str(self.cause), max_length=MAX_SENTENCE)
        if isinstance(self.cause, UnsuitablePlugin):
            return message
        return f"{type(self.cause).__name__}: {message}".rstrip(": ")

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """Return what to do about it, best first; the last is to continue without the plugin."""
        claim, cause, ways = self.claim, self.cause, list[Suggestion]()
        if isinstance(cause, ImportError):
            ways.append(_suggest_requirements(claim, cause))
        if isinstance(cause, UnsuitablePlugin):
            ways += cause.suggestions
        else:
            ways.append(Suggestion(f"{TRACEBACK_VARIABLE}=1 robotrain …", "shows where, for the plugin's author"))
        return tuple(ways if claim.built_in else [*ways, suggest_exclusion(claim)])

    def make_problem(self, stage: Stage = Stage.SUBMIT, severity: Literal["error", "warning"] = "error") -> Problem:
        """Return the problem that reports it."""
        return make_problem("plugin-failed.failure", *self.suggestions, stage=stage, severity=severity, title=str(self))

    def __str__(self) -> str:
        return f"{self.claim.source} failed {f'in {self.hook}' if self.hook else 'to load'}: {self.reason}"


class PluginError(Rejected):
    """A requested plugin that is not installed or failed."""

    misspelled = False
    """Whether another name may be meant."""

    def __init__(self, failure: PluginFailure) -> None:
        super().__init__([failure.make_problem()])


class PluginNotInstalled(PluginError):
    """A name that no installed plugin claims, or whose plugin is switched off."""

    def __init__(self, family: str, name: str, installed: Sequence[str], without: Sequence[str]) -> None:
        from robotrain.installation import suggest_install

        matching_claims = [claim for claim in discovery.read_claims() if (claim.family, claim.name) == (family, name)]
        off = next((exclusion for exclusion in without for claim in matching_claims if claim.matches(exclusion)), "")
        self.misspelled = not off
        installed_names = ", ".join(installed) or "none"
        problem = make_problem("plugin-failed.off", family=family, name=name, off=off, installed=installed_names)
        if not off:
            file = Suggestion("robotrain --plugins-from FOLDER …", "when it comes from a plugin file")
            package = suggest_install("PACKAGE", remark=f"installs a package that brings the {family}")
            ways = [*_suggest_robotrain(), package, file]
            redacted_name = redact(name)
            problem = make_problem(
                "plugin-failed.missing", *ways, family=family, name=redacted_name, installed=installed_names
            )
        Rejected.__init__(self, [problem])


def make_no_workload_error(installed: Sequence[str]) -> Rejected:
    """Return the error for a job without a workload, where none is the default."""
    ways = (
        *[Suggestion("robotrain submit WORKLOAD …")] * bool(installed),
        *map(Suggestion, installed),
        *_suggest_robotrain(),
    )
    return Rejected([make_problem("workload-missing", *ways)])


def _suggest_robotrain() -> Iterator[Suggestion]:
    """Suggest all plugins of robotrain where there is only its core."""
    from robotrain.installation import suggest_install

    if not discovery.list_built_in_distributions():
        yield suggest_install("robotrain", remark="installs the standard plugins")


def make_failure(claim: Claim, cause: BaseException, hook: str = "") -> PluginFailure:
    """Return the failure; with `ROBOTRAIN_TRACEBACK=1` also print its traceback."""
    if os.environ.get(TRACEBACK_VARIABLE):
        for line in "".join(traceback.format_exception(cause)).splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            print(indent + redact(line.strip(), max_length=MAX_SENTENCE), file=sys.stderr)
    return PluginFailure(claim, cause, hook)


def find_culprit(claims: Sequence[Claim], error: BaseException) -> PluginFailure | None:
    """Return the failure of the plugin in whose code an exception was raised; None if it is no plugin's.

    It is the plugin of the innermost frame that belongs to one; its outermost function is what failed.
    """
    frames = [
        (str(frame.f_globals.get("__name__")), frame.f_code.co_name)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    packages = {claim.top_package for claim in claims}
    package = next((top for top in (_get_top(module) for module, _ in reversed(frames)) if top in packages), None)
    if package is None:
        return None
    module, function = next((module, function) for module, function in frames if _get_top(module) == package)
    package_claims = [claim for claim in claims if claim.top_package == package]
    return make_failure(
        max(package_claims, key=lambda claim: _count_shared_parts(claim.module, module)), error, function
    )


def _get_top(module: str) -> str:
    return module.partition(".")[0]


def _count_shared_parts(name: str, other_name: str) -> int:
    part_pairs = zip(name.split("."), other_name.split("."), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], part_pairs))


def suggest_exclusion(claim: Claim) -> Suggestion:
    """Suggest to continue without the plugin of a claim."""
    if claim.from_file:
        return Suggestion("robotrain …", "without --plugins-from: continues without it")
    return Suggestion(f"robotrain --without {claim.package} …", "continues without it")


def _suggest_requirements(claim: Claim, error: ImportError) -> Suggestion:
    """Suggest to install the plugin's missing requirements, else the package named like the module."""
    from robotrain.installation import find_version, suggest_install

    missing_module = (error.name or "").partition(".")[0]
    if missing_module in OWN_PACKAGES:  # a name that this robotrain does not have yet, or not any more
        return suggest_install("robotrain-core", claim.package, remark="upgrades both", option="--upgrade")
    if missing_module == claim.top_package:
        return suggest_install(claim.package, remark="repairs it", option="--force-reinstall")
    needs = [need for need in discovery.read_requirements(claim.project) if ";" not in need]
    lacking_packages = [need for need in needs if not find_version(discovery.parse_requirement_name(need))]
    needed_packages = lacking_packages or [discovery.normalize_name(missing_module)]
    needed_texts = [re.sub(r"[\s()]", "", need) for need in needed_packages]
    return suggest_install(*needed_texts, remark="installs what is missing")
