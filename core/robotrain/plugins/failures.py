"""Failures of plugins: caught, named (which plugin, in what, why), with suggestions."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Literal, NamedTuple

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.plugins import discovery
from robotrain.plugins.discovery import Claim
from robotrain.redaction import MAX_SENTENCE, redact

make_problem = Messages(__file__)

TRACEBACK_VARIABLE = "ROBOTRAIN_TRACEBACK"


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
            ways = [package, file]
            redacted_name = redact(name)
            problem = make_problem(
                "plugin-failed.missing", *ways, family=family, name=redacted_name, installed=installed_names
            )
        Rejected.__init__(self, [problem])


def make_no_workload_error(installed: Sequence[str]) -> Rejected:
    """Return the error for a job without a workload, where none is the default."""
    ways = (*[Suggestion("robotrain submit WORKLOAD …")] * bool(installed), *map(Suggestion, installed))
    return Rejected([make_problem("workload-missing", *ways)])


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
    package = next((top for module, _ in reversed(frames) if (top := module.partition(".")[0]) in packages), None)
    if package is None:
        return None
    module, function = next(frame for frame in frames if frame[0].partition(".")[0] == package)

    def count_shared_parts(claim: Claim) -> int:
        return len(os.path.commonpath([name.replace(".", os.sep) for name in (claim.module, module)]))

    package_claims = [claim for claim in claims if claim.top_package == package]
    return make_failure(max(package_claims, key=count_shared_parts), error, function)


def suggest_exclusion(claim: Claim) -> Suggestion:
    """Suggest to continue without the plugin of a claim."""
    if claim.from_file:
        return Suggestion("robotrain …", "without --plugins-from: continues without it")
    return Suggestion(f"robotrain --without {claim.package} …", "continues without it")
