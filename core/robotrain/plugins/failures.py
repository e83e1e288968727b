"""Failures of plugins: caught, named (which plugin, in what, why), with suggestions."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from robotrain.errors import MAX_SENTENCE, Problem, Rejected, Stage, Suggestion
from robotrain.plugins import calls
from robotrain.plugins.claims import normalize_name, parse_requirement_name, read_requirements

if TYPE_CHECKING:
    from robotrain.plugins.claims import Claim

TRACEBACK_VARIABLE = "ROBOTRAIN_TRACEBACK"
LONGER_LIMITS = {"ROBOTRAIN_HOOK_SECONDS": 30, "ROBOTRAIN_PLUGIN_SECONDS": 900}
"""Seconds to try next, by the variable of the limit."""


class UnsuitablePlugin(Exception):
    """A plugin that robotrain cannot use; the message says why."""

    def __init__(self, why: str, *ways: Suggestion) -> None:
        super().__init__(why)
        self.suggestions = ways


def suggest_fixes(claim: Claim, cause: BaseException) -> Iterator[Suggestion]:
    """Yield what to do about a failure, best first; the last is to continue without the plugin."""
    if isinstance(cause, ImportError):
        yield Suggestion(format_install_command(claim, cause), "installs what is missing")
    elif isinstance(cause, calls.PluginTimeout):
        yield Suggestion(f"{cause.setting}={LONGER_LIMITS[cause.setting]} robotrain …", "gives it more time")
    elif isinstance(cause, UnsuitablePlugin):
        yield from cause.suggestions
    if not isinstance(cause, (calls.PluginTimeout, UnsuitablePlugin)):
        yield Suggestion(f"{TRACEBACK_VARIABLE}=1 robotrain …", "shows where, for the plugin's author")
    if not claim.built_in:
        yield suggest_exclusion(claim)


def suggest_exclusion(claim: Claim) -> Suggestion:
    """Suggest to continue without the plugin of a claim."""
    from robotrain.plugins.plugin_file import is_from_file

    if is_from_file(claim):
        return Suggestion("robotrain …", "without --plugins-from: continues without it")
    return Suggestion(f"robotrain --without {claim.point.distribution} …", "continues without it")


OWN_PACKAGES = ("robotrain", "robotrain_runtime")


def format_install_command(claim: Claim, error: ImportError) -> str:
    """Return the command that installs the plugin's missing requirements, else the package named like the module."""
    import shlex

    wanted = (error.name or "").partition(".")[0]
    distribution = shlex.quote(claim.point.distribution)
    if wanted in OWN_PACKAGES:  # a name that this robotrain does not have yet, or not any more
        return f"uv pip install --upgrade robotrain-core {distribution}"
    if wanted == claim.point.value.partition(":")[0].partition(".")[0]:
        return f"uv pip install --reinstall {distribution}"
    needed = list(_list_missing_requirements(claim)) or [normalize_name(wanted)]
    return f"uv pip install {' '.join(map(shlex.quote, needed))}"


def _list_missing_requirements(claim: Claim) -> Iterator[str]:
    """Yield the plugin's unconditional requirements that are not installed."""
    from importlib.metadata import PackageNotFoundError, version

    for requirement in read_requirements(claim.project):
        if ";" not in requirement:
            try:
                version(parse_requirement_name(requirement))
            except PackageNotFoundError:
                yield re.sub(r"[\s()]", "", requirement)


class PluginFailure(NamedTuple):
    """A failure of a plugin, by its claim; `hook` is the hook or method, empty when it did not load."""

    claim: Claim
    cause: BaseException
    hook: str = ""

    @property
    def source(self) -> str:
        """Return the claim and its distribution."""
        return f"{self.claim} ({self.claim.distribution})"

    @property
    def reason(self) -> str:
        """Return the cause in one line, without secrets."""
        from robotrain.redaction import redact

        message = redact(_read_message(self.cause), max_length=MAX_SENTENCE)
        if isinstance(self.cause, (UnsuitablePlugin, calls.PluginTimeout)):
            return message
        return f"{type(self.cause).__name__}: {message}".rstrip(": ")

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """Return what to do about it; the last is to continue without the plugin."""
        return tuple(suggest_fixes(self.claim, self.cause))

    def make_problem(self, stage: Stage = Stage.SUBMIT, severity: Literal["error", "warning"] = "error") -> Problem:
        """Return the problem that reports it."""
        return Problem(
            code="plugin-failed", stage=stage, severity=severity, title=str(self), suggestions=self.suggestions
        )

    def __str__(self) -> str:
        return f"{self.source} failed {f'in {self.hook}' if self.hook else 'to load'}: {self.reason}"


class PluginError(Rejected):
    """A requested plugin that is not installed or failed; in strict mode any that failed."""

    def __init__(self, failure: PluginFailure, strict: bool = False) -> None:
        super().__init__([failure.make_problem(Stage.USAGE if strict else Stage.SUBMIT)])


class PluginNotInstalled(PluginError):
    """A name that no installed plugin claims; `misspelled` says whether another name may be meant."""

    def __init__(self, title: str, *ways: Suggestion, misspelled: bool = True) -> None:
        self.misspelled = misspelled
        problem = Problem(code="plugin-failed", stage=Stage.USAGE, title=title, suggestions=ways)
        Rejected.__init__(self, [problem])


class PluginCallError(Rejected):
    """A failure of a plugin during a call."""

    def __init__(self, failure: PluginFailure, transient: bool = False) -> None:
        super().__init__([failure.make_problem()], transient)


def make_failure(claim: Claim, cause: BaseException, hook: str = "") -> PluginFailure:
    """Return the failure; with `ROBOTRAIN_TRACEBACK=1` also print its traceback."""
    if os.environ.get(TRACEBACK_VARIABLE):
        _print_traceback(cause)
    return PluginFailure(claim, cause, hook)


def _read_message(cause: BaseException) -> str:
    try:
        return str(cause)
    except Exception as worse:
        return f"its message cannot be read: {type(worse).__name__}"


def _print_traceback(cause: BaseException) -> None:
    import sys
    import traceback

    from robotrain.redaction import redact

    for text in traceback.format_exception(cause):
        for line in text.splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            print(indent + redact(line.strip(), max_length=MAX_SENTENCE), file=sys.stderr)
