"""Why Azure cannot be looked at: who is signed in, what is not reached, and what only could not be checked."""

import re
from collections.abc import Callable, Iterable, Iterator

from robotrain.problem import SENTENCE, Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain_azure import refusal
from robotrain_azure.arm import UNREACHABLE, ArmError
from robotrain_azure.refusal import Refusal
from robotrain_azure.workspace import Workspace

from robotrain_azureml.look.finding import Severity, problem
from robotrain_azureml.service import signed_out

AGAIN = Instead("the same command", "when it can be")
UNCHECKED = "azureml-unchecked"
SHOWN = 8
ABOVE = ("SubscriptionNotFound", "ResourceGroupNotFound")


def of(error: ArmError, at: Workspace, severity: Severity = "error") -> Problem:
    """Of the workspace itself: what stops every submit, or what only could not be looked at for a moment."""
    told = refusal.of(error, at)
    if told.kind == "signed-out":
        return signed_out.problem(error, at, Stage.PREFLIGHT, severity=severity)
    if error.code == UNREACHABLE:
        title = "Azure cannot be reached from here"
        return problem("azureml-unreachable", title, "", "", _why(told), AGAIN, severity=severity)
    if told.kind == "other":
        return unchecked([f"the workspace {at.name}"], told)
    if error.code in refusal.UNSEEN:
        ways = map(Instead, told.ways)
        return problem("azureml-not-allowed", told.title, "--subscription-id", at.subscription, _why(told), *ways)
    code = "azureml-missing" if told.kind == "missing" else "azureml-not-allowed"
    group = error.code == "ResourceGroupNotFound"
    where, given = ("--resource-group", at.group) if group else ("--workspace-name", at.name)
    return problem(code, told.title, where, given, _why(told), *map(Instead, told.ways), severity=severity)


def unchecked(what: Iterable[str], told: Refusal) -> Problem:
    """What Azure does not tell is not known to be missing."""
    named = [*what]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    title = f"could not be checked: {', '.join(named[:SHOWN])}{more}"
    return problem(UNCHECKED, title, "", "", _why(told), *map(Instead, told.ways), severity="warning")


def is_of_it(error: ArmError, name: str) -> bool:
    """Whether Azure says that a part of a workspace is not there: it has the same code for the workspace itself."""
    of_workspace = re.search(r"workspaces/[^/']+' under", str(error)) and name.lower() not in str(error).lower()
    return error.status == 404 and error.code not in ABOVE and not of_workspace


def if_told(what: str, look: Iterable[Problem]) -> Iterator[Problem]:
    """A look at what who may submit need not be let see, such as the account below a datastore: a note where they are
    not. Raises ArmError for anything else.
    """
    try:
        yield from look
    except ArmError as error:
        if error.status not in (403, 404):
            raise
        why = redact(f"{error}.", longest=SENTENCE)
        yield problem(UNCHECKED, f"could not be checked: {what}", "", "", why, severity="note")


class Unchecked:
    """What could not be asked, of all looks: each reason is told once."""

    def __init__(self, at: Workspace) -> None:
        self._at = at
        self._found: list[tuple[str, ArmError]] = []

    def around(self, what: str, look: Callable[[], Iterable[Problem]]) -> Callable[[], Iterator[Problem]]:
        """A look whose refusal is gathered. what: it looks at, in words."""

        def looked() -> Iterator[Problem]:
            try:
                yield from look()
            except ArmError as error:
                self._found.append((what, error))

        return looked

    def problems(self) -> Iterator[Problem]:
        """One for each reason."""
        alike: dict[object, list[tuple[str, ArmError]]] = {}
        for what, error in sorted(self._found, key=lambda one: one[0]):
            alike.setdefault((error.status, error.code), []).append((what, error))
        for found in alike.values():
            yield unchecked(dict.fromkeys(what for what, _ in found), refusal.of(found[0][1], self._at))


def _why(told: Refusal) -> str:
    """Azure's words, as they may be shown."""
    return redact(told.why, longest=SENTENCE)
