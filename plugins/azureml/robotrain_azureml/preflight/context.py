"""The context shared by all preflight checks: client, submission spec, workspace, answers, problems."""

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from robotrain.errors import Problem, Severity, Stage
from robotrain.messages import Messages
from robotrain.model.health import HealthResult, RunCheck, find_problems, report_ok
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure import errors
from robotrain_azure.arm import UNREACHABLE, Answer, ArmClient, ArmError
from robotrain_azure.errors import Diagnosis
from robotrain_azure.lookup import PATIENCE_SECONDS
from robotrain_azure.workspace import Workspace

from robotrain_azureml import errors as azureml_errors
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

make_problem = Messages(__file__)


@dataclass(frozen=True, slots=True)
class PreflightContext:
    """What all checks of one preflight share."""

    arm: ArmClient
    spec: AzureMLSubmissionSpec
    workspace: Answer = field(default_factory=Answer)
    """The workspace's resource; empty if it is not known."""

    def get(self, path: str) -> Answer:
        """Return a part of the workspace by its path. Raises ArmError."""
        return self.arm.get(f"{self.spec.target_workspace.resource}/{path}")

    @property
    def region(self) -> str:
        """The workspace's region as in URLs; empty if it is not known. Raises ArmError."""
        return self.workspace.get_text("location").replace(" ", "").lower()


MAX_CHECKS = 8


def make_workspace_problem(error: ArmError, workspace: Workspace, severity: Severity = "error") -> Problem:
    """Return the problem of a workspace that prevents every submit, or that could not be read just now."""
    diagnosis = errors.diagnose_error(error, workspace)
    if diagnosis.kind == "signed-out":
        return azureml_errors.make_signed_out_problem(error, workspace, Stage.PREFLIGHT, severity=severity)
    if error.is_transient:
        return make_no_answer_problem([f"the workspace {workspace.name}"], error, diagnosis)
    if diagnosis.kind == "other":
        return make_unchecked_problem([f"the workspace {workspace.name}"], diagnosis)
    code = "resource-unknown" if diagnosis.kind == "missing" else "platform-forbidden"
    reason, fixes = _redact_reason(diagnosis), diagnosis.suggestions
    group = error.code == "ResourceGroupNotFound"
    flag, flag_value = ("--resource-group", workspace.group) if group else ("--workspace-name", workspace.name)
    if error.code in errors.SUBSCRIPTION_MISSING_CODES:
        flag, flag_value, severity = "--subscription-id", workspace.subscription, "error"
    return make_problem(
        code, *fixes, where=flag, given=flag_value, severity=severity, title=diagnosis.title, why=reason
    )


def make_no_answer_problem(subjects: Iterable[str], error: ArmError, diagnosis: Diagnosis) -> Problem:
    """Return the problem of look-ups that Azure did not answer for as long as a submit waits: nothing is sent."""
    subject_names = ", ".join([*subjects][:MAX_CHECKS])
    minutes = PATIENCE_SECONDS / 60 if error.is_passing else None
    message = "platform-away" if error.code == UNREACHABLE else "platform-busy"
    return make_problem(message, names=subject_names, reason=_redact_reason(diagnosis), minutes=minutes)


def make_unchecked_problem(checks: Iterable[str], diagnosis: Diagnosis) -> Problem:
    """Return the warning for checks that Azure did not let us make."""
    subjects = [*checks]
    omitted_note = f" and {len(subjects) - MAX_CHECKS} more" if len(subjects) > MAX_CHECKS else ""
    reason, fixes = _redact_reason(diagnosis), diagnosis.suggestions
    return make_problem(
        "not-checked-here.parts", *fixes, subjects=", ".join(subjects[:MAX_CHECKS]), more=omitted_note, why=reason
    )


def check_workspace(
    preflight: PreflightContext, list_parts: Callable[[PreflightContext], Iterable[tuple[str, RunCheck]]]
) -> Iterator[Problem | HealthResult]:
    """Check the workspace first, so that a denied access is reported once, then its parts.

    :param list_parts: returns the parts that matter, in words, and the check of each.
    """
    workspace = preflight.spec.target_workspace
    try:
        preflight = replace(preflight, workspace=preflight.arm.get(workspace.resource))
        yield report_ok(f"{workspace.name} in {preflight.region}")
    except ArmError as error:
        problem = make_workspace_problem(error, workspace)
        yield problem
        if problem.severity == "error":
            return
    failed: list[tuple[str, ArmError]] = []

    def check_part(subject: str, check: RunCheck) -> Iterator[Problem | HealthResult]:
        try:
            yield from check()
        except ArmError as error:
            failed.append((subject, error))

    yield from find_problems(functools.partial(check_part, *part) for part in list_parts(preflight))
    by_reason: dict[object, dict[str, ArmError]] = {}
    for subject, failure in sorted(failed, key=operator.itemgetter(0)):
        by_reason.setdefault((failure.status, failure.code), {})[subject] = failure
    for failures in by_reason.values():
        failure = next(iter(failures.values()))
        diagnosis = errors.diagnose_error(failure, workspace)
        if failure.is_transient:
            yield make_no_answer_problem(failures, failure, diagnosis)
        else:
            yield make_unchecked_problem(failures, diagnosis)


def _redact_reason(diagnosis: Diagnosis) -> str:
    return redact(diagnosis.why, max_length=MAX_SENTENCE)
