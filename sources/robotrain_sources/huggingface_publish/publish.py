"""Checkpoints on a branch of the Hub, as one token publishes them: committed, and tagged."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from robotrain_runtime.contract.failure import PermanentError
from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.fetching.quiet import silence_libraries
from robotrain_sources.huggingface.errors import (
    HubRequest,
    explain_hub_error,
    find_endpoint_problem,
    format_hub,
    format_site,
)
from robotrain_sources.huggingface.fetch import HubToken, load_hub_token
from robotrain_sources.huggingface.layout import BranchClaim
from robotrain_sources.huggingface.reference import RepositoryBranch
from robotrain_sources.huggingface_publish.branch_client import BranchClient, is_status
from robotrain_sources.huggingface_publish.branch_writer import BranchWriter, CommitMismatch, PublishedCheckpoint

T = TypeVar("T")
LOG_IN = "hf auth login"
LOG_IN_HINT = f"log in with `{LOG_IN}`, or set HF_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchInspection:
    """What was found at a branch."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    owner: BranchClaim | None = None
    steps: Sequence[str] = ()
    """The names of its checkpoints."""


class HubPublisher:
    """Publishes to one branch. Errors of the library become OSError with a sentence."""

    def __init__(self, branch: RepositoryBranch, credential: str, remedy: str = "") -> None:
        self._place = branch
        self._credential = credential
        self._remedy = remedy or LOG_IN_HINT
        self._token_way = "" if remedy else LOG_IN  # a job cannot log in

    def publish_checkpoint(
        self, folder: Path, digest: str, description: Mapping[str, Any], path_files: Mapping[str, str | None]
    ) -> PublishedCheckpoint:
        """Publish a checkpoint; return whether it is new, and a warning."""
        return self._run_action(lambda client: BranchWriter(client).publish(folder, digest, description, path_files))

    def delete_oldest(self, run: str, keep: int) -> Sequence[str]:
        """Delete the tags of the oldest checkpoints of a run; return their names."""
        return self._run_action(lambda client: BranchWriter(client).delete_oldest(run, keep))

    def check_access(self) -> BranchInspection:
        """Check that the token may write there; return what is wrong, the branch's run, and its checkpoints."""

        def check(client: BranchClient) -> BranchInspection:
            problems = tuple(self._find_problems(client))
            if problems or client.find_repository() is None:
                return BranchInspection(problems=problems)
            writer = BranchWriter(client)
            if claim := writer.read_claim():
                return BranchInspection(owner=claim, steps=writer.list_checkpoints())
            if foreign_file := writer.find_foreign_file():
                branch_label = f"the branch {self._place.name} of {self._place.id}"
                foreign_sentence = f"{branch_label} holds other files, such as {foreign_file}"
                return BranchInspection(
                    problems=(make_data_problem(foreign_sentence, f"hf://{self._place.id}@BRANCH"),)
                )
            return BranchInspection()

        try:
            return self._run_action(check)
        except TokenProblem as problem:
            way = self._token_way if isinstance(problem, RefusedToken) else ""
            return BranchInspection(problems=(make_data_problem(str(problem), way),))
        except OSError as error:
            return BranchInspection(warnings=(str(error),))

    def _find_problems(self, client: BranchClient) -> Iterator[Problem]:
        """Yield why the token may not write to the repository, or why that cannot hold checkpoints."""
        token = client.token.description
        if not client.token.text:
            yield make_data_problem(f"{format_hub()} requires a token to publish: {self._remedy}", self._token_way)
            return
        account = client.api.whoami()
        access = account.get("auth", {}).get("accessToken", {})
        if access.get("role") == "read" or not _may_write(access, self._place.id):
            right_remedy = f"give it that right, or make one that has it, at {format_site()}/settings/tokens"
            yield make_data_problem(f"{token} may not write: {right_remedy}", self._token_way)
            return
        (owner, repository), name = self._place.id.split("/"), str(account.get("name"))
        roles = {
            str(organization.get("name")): organization.get("roleInOrg") for organization in account.get("orgs", ())
        }
        if owner.lower() not in {account_name.lower() for account_name in (name, *roles)}:
            organizations_note = f", or to one of its organizations: {', '.join(roles)}" if roles else ""
            hint = f"{name} publishes to hf://{name}/NAME{organizations_note}"
            yield make_data_problem(
                f"{self._place.id} belongs to somebody else: {hint}", self._rename(name, repository)
            )
        elif roles.get(owner) == "read":
            read_only_sentence = (
                f"{name} may only read what belongs to {owner}: ask an administrator of it for the role write"
            )
            yield make_data_problem(read_only_sentence, self._rename(name, repository))
        elif client.find_repository() is None and client.has_dataset():
            reason = f"on the Hub {self._place.id} is a dataset: checkpoints go to a model repository of another name"
            yield make_data_problem(reason, self._rename(owner, "NAME"))

    def _rename(self, owner: str, name: str) -> str:
        """Return the address of another repository, with the branch of this one."""
        return str(dataclasses.replace(self._place, id=f"{owner}/{name}"))

    def _run_action(self, action: Callable[[BranchClient], T]) -> T:
        silence_libraries()
        if problem := find_endpoint_problem():
            raise TokenProblem(problem)
        try:
            token = load_hub_token(self._credential)
        except FetchError as error:
            raise TokenProblem(str(error)) from error
        try:
            return action(BranchClient(self._place, token))
        except Exception as error:
            raise self._explain(error, token) from error

    def _explain(self, error: Exception, token: HubToken) -> Exception:
        """Return an error of the library as OSError; PermanentError and system errors stay as they are."""
        if isinstance(error, PermanentError) or (isinstance(error, OSError) and error.errno):
            return error
        if isinstance(error, CommitMismatch):
            return OSError(str(error))
        name = self._place.id
        hint = f": {self._remedy}" if self._remedy else ""
        if is_status(error, 401) or "LocalTokenNotFoundError" in errors.get_class_names(error):
            token_text = token.description or "a request without a token"
            return RefusedToken(f"{format_hub()} does not accept {token_text} for {name} (HTTP 401){hint}")
        if is_status(error, 403):
            right_remedy = f"the right to write, at {format_site()}/settings/tokens"
            return OSError(f"{token.description} may not write to {name} (HTTP 403): it needs {right_remedy}")
        request = HubRequest(
            repository=name, kind="model", revision=self._place.name, token=token.description, remedy=self._remedy
        )
        return OSError(explain_hub_error(error, request).why)


class TokenProblem(OSError):
    """The token is missing, unreadable or refused. The text says which."""


class RefusedToken(TokenProblem):
    """The Hub does not accept the token."""


def _may_write(access: Mapping[str, Any], repository: str) -> bool:
    """Return whether a token may write, as far as the Hub tells: a fine-grained one has rights to what it names."""
    if access.get("role") != "fineGrained":
        return True
    rules = access.get("fineGrained", {})
    scoped_rules = rules.get("scoped", ())
    owner = repository.partition("/")[0].lower()
    for scope in scoped_rules:
        entity = str(scope.get("entity", {}).get("name", "")).lower()
        if "repo.write" in scope.get("permissions", ()) and entity in (owner, repository.lower()):
            return True
    return not scoped_rules and "repo.write" in rules.get("global", ())
