"""Preflight checks that platforms on Azure share: the workspace, roles, the data as seen from here.

What Azure does not tell is "could not check", never "is missing".
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.health import convert_finding
from robotrain_runtime.contract.document import JobDocument, JobSource

if TYPE_CHECKING:
    from robotrain_azure.arm import ArmClient, ArmError
    from robotrain_azure.workspace import Workspace

PreflightCheck = Callable[[], Iterable[Problem]]


class _CheckThread:
    """One look, in a thread that holds up nobody's end: the commands it waits for end with us."""

    def __init__(self, check: PreflightCheck) -> None:
        self.problems: list[Problem] = []
        self.error: BaseException | None = None
        self._check = check
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for problem in self._check():
                self.problems.append(problem)
        except Rejected as rejected:
            self.problems += rejected.problems
        except BaseException as error:
            self.error = error


def run_checks(checks: Sequence[PreflightCheck]) -> list[Problem]:
    """What all of them find, in their order, each once: what is down stops several. Raises what one raised."""
    looking = [_CheckThread(look) for look in checks]
    for one in looking:
        one.thread.join()
    for one in looking:
        if one.error is not None:
            raise one.error
    return [
        *{(problem.code, problem.title, problem.given): problem for one in looking for problem in one.problems}.values()
    ]


API_VERSION = "2024-04-01"
PATIENCE_SECONDS = 5.0
IDENTITY_FLAG = "--workload-identity"
ROLE_DELAY = "takes effect after some minutes"


@dataclass(frozen=True, slots=True)
class RoleHolder:
    """Whom a job signs in as. principal: the object id, which roles are given to. where, given: what names it."""

    principal: str
    where: str
    given: str


def check_workspace(workspace: Workspace) -> Iterator[Problem]:
    """Whether it is there. Warns when that cannot be told from here."""
    from robotrain_azure import errors
    from robotrain_azure.arm import ArmClient, ArmError

    try:
        ArmClient(PATIENCE_SECONDS).get(workspace.resource, API_VERSION)
    except ArmError as error:
        told = errors.diagnose_workspace_error(error, workspace)
        missing = told.kind == "missing"
        yield Problem(
            code="azure-workspace-missing" if missing else "azure-unchecked",
            stage=Stage.PREFLIGHT,
            title=told.title if missing else f"the Azure ML workspace {workspace.name} could not be checked",
            where="--resource-group" if error.code == "ResourceGroupNotFound" else "--workspace-name",
            given=workspace.group if error.code == "ResourceGroupNotFound" else workspace.name,
            why=told.why if missing else f"{told.title}: {told.why}",
            suggestions=tuple(Suggestion(way) for way in told.suggestions),
            severity="error" if missing else "warning",
        )


def check_identity_blob_roles(client_id: str, subscription: str, accounts: Mapping[str, bool]) -> Iterator[Problem]:
    """Whether the identity that jobs have may read, or where `accounts` says so write, blobs of these storage accounts.

    Every problem is a warning.
    """
    from robotrain_azure import roles
    from robotrain_azure.arm import ArmClient, ArmError

    if not accounts:
        return
    arm, said = ArmClient(PATIENCE_SECONDS), RoleHolder("", IDENTITY_FLAG, client_id)
    try:
        principal = roles.find_principal(arm, subscription, client_id)
    except ArmError as error:
        yield _make_unchecked_problem(said, ", ".join(sorted(accounts)), error)
        return
    if not principal:
        why = f"The subscription {subscription} shows no identity with that client id."
        yield _make_unchecked_problem(said, ", ".join(sorted(accounts)), why)
        return
    yield from check_blob_roles(RoleHolder(principal, IDENTITY_FLAG, client_id), subscription, accounts)


def check_blob_roles(holder: RoleHolder, subscription: str, accounts: Mapping[str, bool]) -> Iterator[Problem]:
    """As `identity`, of one whose object id is known."""
    from robotrain_azure import roles
    from robotrain_azure.arm import ArmClient, ArmError

    if not accounts:
        return
    arm = ArmClient(PATIENCE_SECONDS)
    try:
        there = roles.list_storage_accounts(arm, subscription)
    except ArmError as error:
        yield _make_unchecked_problem(holder, ", ".join(sorted(accounts)), error)
        return
    for name, writes in sorted(accounts.items()):
        if name not in there:
            yield _make_unchecked_problem(
                holder, name, f"The subscription {subscription} shows no storage account {name}."
            )
        else:
            yield from _check_account(arm, there[name], holder, writes)


def check_model_roles(holder: RoleHolder, workspace: Workspace) -> Iterator[Problem]:
    """Whether the identity that jobs have may register models in a workspace. Every problem is a warning."""
    from robotrain_azure import errors, roles
    from robotrain_azure.arm import ArmClient, ArmError

    try:
        lacks = roles.is_missing_model_role(ArmClient(PATIENCE_SECONDS), workspace.resource, holder.principal)
    except ArmError as error:
        yield _make_unchecked_problem(holder, f"the workspace {workspace.name}", error)
        return
    if lacks:
        yield Problem(
            code="azure-role-missing",
            stage=Stage.PREFLIGHT,
            title=f"the identity of the job may not register models in the workspace {workspace.name}",
            where=holder.where,
            given=holder.given,
            why=f"None of its roles allows it, neither there nor above; {errors.DATA_SCIENTIST_ROLE} would.",
            suggestions=(
                Suggestion(
                    errors.make_role_command(holder.principal, errors.DATA_SCIENTIST_ROLE, workspace.resource),
                    ROLE_DELAY,
                ),
            ),
            severity="warning",
        )


def _check_account(arm: ArmClient, account: str, holder: RoleHolder, writes: bool) -> Iterator[Problem]:
    """account: its resource id."""
    from robotrain_azure import errors, roles
    from robotrain_azure.arm import ArmError

    name = account.rpartition("/")[2]
    try:
        lacks = roles.is_missing_blob_role(arm, account, holder.principal, writes=writes)
    except ArmError as error:
        yield _make_unchecked_problem(holder, name, error)
        return
    if lacks:
        role = roles.BLOB_CONTRIBUTOR_ROLE if writes else roles.BLOB_READER_ROLE
        yield Problem(
            code="azure-role-missing",
            stage=Stage.PREFLIGHT,
            title=f"the identity of the job may not {'write' if writes else 'read'} blobs of the account {name}",
            where=holder.where,
            given=holder.given,
            why=f"None of its roles allows it, neither there nor above nor on a container; {role} would.",
            suggestions=(Suggestion(errors.make_role_command(holder.principal, role, account), ROLE_DELAY),),
            severity="warning",
        )


def _make_unchecked_problem(holder: RoleHolder, subject: str, reason: ArmError | str) -> Problem:
    from robotrain_azure.arm import SIGNED_OUT

    signed_out = getattr(reason, "code", "") == SIGNED_OUT
    return Problem(
        code="azure-unchecked",
        stage=Stage.PREFLIGHT,
        title=f"the roles of the job's identity could not be checked: {subject}",
        where=holder.where,
        given=holder.given,
        why=reason if isinstance(reason, str) else f"{reason}.",
        suggestions=(Suggestion("az login"),) if signed_out else (),
        severity="warning",
    )


DATA_CHECK_SECONDS = 30.0
CERTAIN_CODES = ("data-unusable",)
"""What is true wherever one looks from. The others: this machine may not be let in where the job is."""
JOB_CHECKS_AGAIN = "The job looks again, with its own identity."
BLOB_KIND = "blob_url"
MAX_WARNINGS = 3
"""Warnings that are told one by one."""
UNREACHABLE_CODE = "source-unreachable"
SIGN_IN_HINTS = MappingProxyType({BLOB_KIND: "`az login` lets this machine look"})


def check_data(document: JobDocument) -> Iterator[Problem]:
    """What this machine cannot read or write, and what datasets that are merged have against each other; nothing when
    there is nothing to look at from here.
    """
    seen = select_checkable_sources(document)
    if not seen and not is_published_to_blobs(document):
        return
    from robotrain.store.files import get_cache_folder
    from robotrain_runtime.preflight import preflight_remotely

    found = preflight_remotely(document, get_cache_folder(), _print_progress, DATA_CHECK_SECONDS, SIGN_IN_HINTS, seen)
    yield from _limit_warnings(_soften_problem(convert_finding(finding)) for finding in found)


def select_checkable_sources(document: JobDocument) -> tuple[JobSource, ...]:
    """What can be looked at from here and is not known by now: all data, where datasets must go together; else the
    blobs that were not seen when they were pinned a moment ago.
    """
    brought = {(mount.role, mount.uri) for mount in document.placement.mounts if mount.origin}
    there = [one for one in document.sources if (one.role, one.uri) not in brought or one.kind == "local_path"]
    there = [one for one in there if one.kind not in document.placement.credentials]
    several = sum(one.role == "dataset" for one in there) > 1
    gone = {one for one in there if several and (one.role, one.uri) in brought and not _is_local_as_pinned(one)}
    return tuple(one for one in there if one not in gone and (several or (one.kind == BLOB_KIND and not one.pin)))


def _is_local_as_pinned(folder: JobSource) -> bool:
    """Whether a folder that is uploaded lies on this machine, as it was pinned; where it is uploaded already, it need
    not any more.
    """
    from robotrain.store.files import get_cache_folder
    from robotrain_runtime.contract.container_plugin import ContainerContext
    from robotrain_sources.local_path import container

    return not any(container.preflight(folder, ContainerContext(cache=get_cache_folder())))


def is_published_to_blobs(document: JobDocument) -> bool:
    """Whether the run itself writes to blobs, as who it is there."""
    address = str(document.parameters.get("publish_url") or "")
    return ".blob." in address and BLOB_KIND not in document.placement.credentials


def _soften_problem(problem: Problem) -> Problem:
    """What need not be so where the job is stops nobody."""
    if problem.code in CERTAIN_CODES:
        return problem
    return replace(problem, why=f"{problem.why} {JOB_CHECKS_AGAIN}".strip(), severity="warning")


def _limit_warnings(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Every error; of warnings the first, and how many more: one sign-in that fails is one for each source."""
    warned = 0
    for problem in problems:
        warned += problem.severity == "warning"
        if problem.severity != "warning" or warned <= MAX_WARNINGS:
            yield problem
    if warned > MAX_WARNINGS:
        title = f"{warned - MAX_WARNINGS} more sources cannot be looked at from here"
        yield Problem(
            code=UNREACHABLE_CODE, stage=Stage.PREFLIGHT, severity="warning", title=title, why=JOB_CHECKS_AGAIN
        )


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
