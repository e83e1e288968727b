"""Context shared by all preflight checks: client, submission spec, workspace, answers, problems."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from robotrain.errors import MAX_SENTENCE, Problem, Stage, Suggestion, find_nearest_name
from robotrain.redaction import redact
from robotrain_azure import errors
from robotrain_azure.arm import UNREACHABLE, ArmClient, ArmError
from robotrain_azure.errors import Diagnosis
from robotrain_azure.workspace import Workspace

from robotrain_azureml import errors as azureml_errors
from robotrain_azureml.service import datastore
from robotrain_azureml.service.datastore import Datastore
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec


class AnswerCache:
    """Each answer by its name. Who asks while another does waits for the same one, and hears the same refusal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._found: dict[str, tuple[Any, OSError | None]] = {}

    def get_or_fetch(self, name: str, fetch: Callable[[], Any]) -> Any:
        """What `ask` answers, or did. Raises the OSError that it raises."""
        with self._lock:
            asking = self._asking.setdefault(name, threading.Lock())
        with asking:
            if name not in self._found:
                self._found[name] = _try_fetch(fetch)
        found, error = self._found[name]
        if error is not None:
            raise error
        return found


def _try_fetch(fetch: Callable[[], Any]) -> tuple[Any, OSError | None]:
    try:
        return fetch(), None
    except OSError as error:
        return None, error


API_VERSION = "2024-04-01"
"""Of the resource manager's Machine Learning API."""
PATIENCE_SECONDS = 2.0
"""Seconds for which a bad moment of Azure is sat out: nobody waits long for a look."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class PreflightContext:
    """arm: who is signed in here, once for all looks. workspace: its body; empty where it was not told."""

    arm: ArmClient
    spec: AzureMLSubmissionSpec
    workspace: Mapping[str, Any] = field(default_factory=dict)
    answers: AnswerCache = field(default_factory=AnswerCache, repr=False, compare=False)

    def get(self, path: str) -> dict[str, Any]:
        """A part of the workspace, asked once. rest: its path below it. Raises ArmError."""
        return self.get_or_fetch(
            path, lambda: self.arm.get(f"{self.spec.target_workspace.resource}/{path}", API_VERSION)
        )

    def get_or_fetch(self, name: str, fetch: Callable[[], Answer]) -> Answer:
        """What is asked, whichever look asks first. Raises as it does."""
        found: Answer = self.answers.get_or_fetch(name, fetch)
        return found

    @property
    def region(self) -> str:
        """Of the workspace, as paths have it; empty where it was not told."""
        return str(self.workspace.get("location") or "").replace(" ", "").lower()

    def get_property(self, name: str) -> str:
        """A property of the workspace that is a text; empty where it was not told."""
        return str((self.workspace.get("properties") or {}).get(name) or "")


def get_job_datastore(preflight: PreflightContext) -> Datastore:
    """Where the job's own lies. Raises ArmError, and StorageError for one that holds no blobs."""
    return get_datastore(preflight, preflight.spec.target_workspace, preflight.spec.datastore)


def get_datastore(preflight: PreflightContext, workspace: Workspace, name: str) -> Datastore:
    """Where one lies. Raises as `store` does."""
    return preflight.get_or_fetch(
        f"{workspace.resource}/datastores/{name}", lambda: datastore.get_datastore(preflight.arm, workspace, name)
    )


Severity = Literal["error", "warning", "note"]


def make_preflight_problem(
    code: str,
    title: str,
    where: str = "",
    given: str = "",
    why: str = "",
    *instead: Suggestion,
    severity: Severity = "error",
) -> Problem:
    """One thing that was seen before anything was sent. why: without what must not be shown."""
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where=where,
        given=redact(given),
        why=why,
        suggestions=instead,
        severity=severity,
    )


def make_az_command(spec: AzureMLSubmissionSpec, command: str) -> str:
    """A command of the Azure CLI about the workspace of an order."""
    at = f"--workspace-name {spec.workspace} --resource-group {spec.group} --subscription {spec.subscription}"
    return f"az ml {command} {at}"


MAX_NAMES = 8


def list_names(arm: ArmClient, path: str, version: str) -> list[str]:
    """The names of a list of the resource manager; none where it is not told."""
    try:
        return sorted(str(one["name"]) for one in arm.list_all(path, version))
    except ArmError:
        return []


def suggest_names(template: str, wanted: str, names: Sequence[str], list_command: str) -> tuple[Suggestion, ...]:
    """What to type in place of a name. said: what is typed, with `{}` for the name. shows: what lists the names."""
    if not names:
        return (Suggestion(list_command, "shows what there is"),)
    near = find_nearest_name(wanted, names) or (names[0] if len(names) == 1 else "")
    listed = [*([near] if near else []), *(name for name in names if name != near)]
    more = f", … ({len(listed) - MAX_NAMES} more)" if len(listed) > MAX_NAMES else ""
    there = f"there {'are' if listed[1:] else 'is'} {', '.join(listed[:MAX_NAMES])}{more}"
    return (Suggestion(template.replace("{}", near or "NAME"), there),)


SAME_COMMAND = Suggestion("the same command", "when it can be")
UNCHECKED_CODE = "azureml-unchecked"
MAX_CHECKS = 8
WORKSPACE_MISSING_CODES = ("SubscriptionNotFound", "ResourceGroupNotFound")


def make_workspace_problem(error: ArmError, workspace: Workspace, severity: Severity = "error") -> Problem:
    """Of the workspace itself: what stops every submit, or what only could not be looked at for a moment."""
    told = errors.diagnose_workspace_error(error, workspace)
    if told.kind == "signed-out":
        return azureml_errors.make_signed_out_problem(error, workspace, Stage.PREFLIGHT, severity=severity)
    if error.code == UNREACHABLE:
        title = "Azure cannot be reached from here"
        return make_preflight_problem(
            "azureml-unreachable", title, "", "", _redact_reason(told), SAME_COMMAND, severity=severity
        )
    if told.kind == "other":
        return make_unchecked_problem([f"the workspace {workspace.name}"], told)
    if error.code in errors.SUBSCRIPTION_MISSING_CODES:
        ways = map(Suggestion, told.suggestions)
        return make_preflight_problem(
            "azureml-not-allowed", told.title, "--subscription-id", workspace.subscription, _redact_reason(told), *ways
        )
    code = "azureml-missing" if told.kind == "missing" else "azureml-not-allowed"
    group = error.code == "ResourceGroupNotFound"
    where, given = ("--resource-group", workspace.group) if group else ("--workspace-name", workspace.name)
    return make_preflight_problem(
        code, told.title, where, given, _redact_reason(told), *map(Suggestion, told.suggestions), severity=severity
    )


def make_unchecked_problem(checks: Iterable[str], diagnosis: Diagnosis) -> Problem:
    """What Azure does not tell is not known to be missing."""
    named = [*checks]
    more = f" and {len(named) - MAX_CHECKS} more" if len(named) > MAX_CHECKS else ""
    title = f"could not be checked: {', '.join(named[:MAX_CHECKS])}{more}"
    return make_preflight_problem(
        UNCHECKED_CODE,
        title,
        "",
        "",
        _redact_reason(diagnosis),
        *map(Suggestion, diagnosis.suggestions),
        severity="warning",
    )


def is_missing_part(error: ArmError, name: str) -> bool:
    """Whether Azure says that a part of a workspace is not there: it has the same code for the workspace itself."""
    of_workspace = re.search(r"workspaces/[^/']+' under", str(error)) and name.lower() not in str(error).lower()
    return error.status == 404 and error.code not in WORKSPACE_MISSING_CODES and not of_workspace


def soften_denial(subject: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """A look at what who may submit need not be let see, such as the account below a datastore: a note where they are
    not. Raises ArmError for anything else.
    """
    try:
        yield from problems
    except ArmError as error:
        if error.status not in (403, 404):
            raise
        why = redact(f"{error}.", max_length=MAX_SENTENCE)
        yield make_preflight_problem(UNCHECKED_CODE, f"could not be checked: {subject}", "", "", why, severity="note")


class UncheckedParts:
    """What could not be asked, of all looks: each reason is told once."""

    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._found: list[tuple[str, ArmError]] = []

    def collect_errors(self, subject: str, check: Callable[[], Iterable[Problem]]) -> Callable[[], Iterator[Problem]]:
        """A look whose refusal is gathered. what: it looks at, in words."""

        def looked() -> Iterator[Problem]:
            try:
                yield from check()
            except ArmError as error:
                self._found.append((subject, error))

        return looked

    def make_problems(self) -> Iterator[Problem]:
        """One for each reason."""
        alike: dict[object, list[tuple[str, ArmError]]] = {}
        for what, error in sorted(self._found, key=lambda one: one[0]):
            alike.setdefault((error.status, error.code), []).append((what, error))
        for found in alike.values():
            yield make_unchecked_problem(
                dict.fromkeys(what for what, _ in found), errors.diagnose_workspace_error(found[0][1], self._at)
            )


def _redact_reason(diagnosis: Diagnosis) -> str:
    """Azure's words, as they may be shown."""
    return redact(diagnosis.why, max_length=MAX_SENTENCE)
