"""A look at Azure before anything is sent, as whoever is signed in here: the workspace, and the roles of the identity
that jobs will have. What Azure does not tell is "could not check", never "is missing".
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Stage

if TYPE_CHECKING:
    from robotrain_azure.arm import Arm, ArmError
    from robotrain_azure.workspace import Workspace

VERSION = "2024-04-01"
PATIENCE = 5.0
IDENTITY = "--workload-identity"
LATER = "takes effect after some minutes"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a job signs in as. principal: the object id, which roles are given to. where, given: what names it."""

    principal: str
    where: str
    given: str


def workspace(at: Workspace) -> Iterator[Problem]:
    """Whether it is there. Warns when that cannot be told from here."""
    from robotrain_azure import refusal
    from robotrain_azure.arm import Arm, ArmError

    try:
        Arm(PATIENCE).get(at.resource, VERSION)
    except ArmError as error:
        told = refusal.of(error, at)
        missing = told.kind == "missing"
        yield Problem(
            code="azure-workspace-missing" if missing else "azure-unchecked",
            stage=Stage.PREFLIGHT,
            title=told.title if missing else f"the Azure ML workspace {at.name} could not be checked",
            where="--resource-group" if error.code == "ResourceGroupNotFound" else "--workspace-name",
            given=at.group if error.code == "ResourceGroupNotFound" else at.name,
            why=told.why if missing else f"{told.title}: {told.why}",
            instead=tuple(Instead(way) for way in told.ways),
            severity="error" if missing else "warning",
        )


def identity(client_id: str, subscription: str, accounts: Mapping[str, bool]) -> Iterator[Problem]:
    """Whether the identity that jobs have may read, or where `accounts` says so write, blobs of these storage accounts.

    Every problem is a warning.
    """
    from robotrain_azure import roles
    from robotrain_azure.arm import Arm, ArmError

    if not accounts:
        return
    arm, said = Arm(PATIENCE), Holder("", IDENTITY, client_id)
    try:
        principal = roles.principal(arm, subscription, client_id)
    except ArmError as error:
        yield _unchecked(said, ", ".join(sorted(accounts)), error)
        return
    if not principal:
        why = f"The subscription {subscription} shows no identity with that client id."
        yield _unchecked(said, ", ".join(sorted(accounts)), why)
        return
    yield from holder(Holder(principal, IDENTITY, client_id), subscription, accounts)


def holder(who: Holder, subscription: str, accounts: Mapping[str, bool]) -> Iterator[Problem]:
    """As `identity`, of one whose object id is known."""
    from robotrain_azure import roles
    from robotrain_azure.arm import Arm, ArmError

    if not accounts:
        return
    arm = Arm(PATIENCE)
    try:
        there = roles.accounts(arm, subscription)
    except ArmError as error:
        yield _unchecked(who, ", ".join(sorted(accounts)), error)
        return
    for name, writes in sorted(accounts.items()):
        if name not in there:
            yield _unchecked(who, name, f"The subscription {subscription} shows no storage account {name}.")
        else:
            yield from _account(arm, there[name], who, writes)


def models(who: Holder, at: Workspace) -> Iterator[Problem]:
    """Whether the identity that jobs have may register models in a workspace. Every problem is a warning."""
    from robotrain_azure import refusal, roles
    from robotrain_azure.arm import Arm, ArmError

    try:
        lacks = roles.lacks_models(Arm(PATIENCE), at.resource, who.principal)
    except ArmError as error:
        yield _unchecked(who, f"the workspace {at.name}", error)
        return
    if lacks:
        yield Problem(
            code="azure-role-missing",
            stage=Stage.PREFLIGHT,
            title=f"the identity of the job may not register models in the workspace {at.name}",
            where=who.where,
            given=who.given,
            why=f"None of its roles allows it, neither there nor above; {refusal.ROLE} would.",
            instead=(Instead(refusal.role_line(who.principal, refusal.ROLE, at.resource), LATER),),
            severity="warning",
        )


def _account(arm: Arm, account: str, who: Holder, writes: bool) -> Iterator[Problem]:
    """account: its resource id."""
    from robotrain_azure import refusal, roles
    from robotrain_azure.arm import ArmError

    name = account.rpartition("/")[2]
    try:
        lacks = roles.lacks(arm, account, who.principal, writes=writes)
    except ArmError as error:
        yield _unchecked(who, name, error)
        return
    if lacks:
        role = roles.CONTRIBUTOR if writes else roles.READER
        yield Problem(
            code="azure-role-missing",
            stage=Stage.PREFLIGHT,
            title=f"the identity of the job may not {'write' if writes else 'read'} blobs of the account {name}",
            where=who.where,
            given=who.given,
            why=f"None of its roles allows it, neither there nor above nor on a container; {role} would.",
            instead=(Instead(refusal.role_line(who.principal, role, account), LATER),),
            severity="warning",
        )


def _unchecked(who: Holder, what: str, why: ArmError | str) -> Problem:
    from robotrain_azure.arm import SIGNED_OUT

    signed_out = getattr(why, "code", "") == SIGNED_OUT
    return Problem(
        code="azure-unchecked",
        stage=Stage.PREFLIGHT,
        title=f"the roles of the job's identity could not be checked: {what}",
        where=who.where,
        given=who.given,
        why=why if isinstance(why, str) else f"{why}.",
        instead=(Instead("az login"),) if signed_out else (),
        severity="warning",
    )
