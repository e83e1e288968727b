"""The container plugin that publishes to a branch of the Hub."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import PermanentError, SourceError
from robotrain_runtime.contract.problem import Problem, make_data_problem
from robotrain_runtime.contract.target import CheckpointMark, CheckpointOwner, TargetInspection
from robotrain_runtime.data_environment import ENVIRONMENT

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.fetching.quiet import call_cancellable, silence_libraries
from robotrain_sources.huggingface import reference
from robotrain_sources.huggingface.errors import (
    HubRequest,
    explain_hub_error,
    find_endpoint_problem,
    format_hub,
    format_site,
)
from robotrain_sources.huggingface.fetch import REQUEST_SECONDS, load_hub_token
from robotrain_sources.huggingface.reference import Repository, RepositoryBranch
from robotrain_sources.huggingface_publish.branch import CommitMismatch, HubBranch


def has_repository(api: Any, repository: str, kind: str = "model") -> bool:
    """Return whether the Hub has a repository of the name."""
    try:
        api.repo_info(repository, repo_type=kind, timeout=REQUEST_SECONDS)
    except Exception as error:
        if "RepositoryNotFoundError" in errors.get_class_names(error):
            return False
        raise
    return True


def find_problems(api: Any, place: RepositoryBranch, token: str, log_in: str) -> Iterator[Problem]:
    """Yield why the token may not write to the repository, or why that cannot hold checkpoints.

    :param token: the token in words.
    :param log_in: what gives another token; empty for nothing to type.
    """
    account = api.whoami()
    access = account.get("auth", {}).get("accessToken", {})
    if access.get("role") == "read" or not _may_write(access, place.id):
        yield make_data_problem(format_missing_right(token, place.id), log_in)
        return
    user = str(account.get("name"))
    organizations = [str(org.get("name")) for org in account.get("orgs", ()) if org.get("roleInOrg") != "read"]
    owner, name = place.id.split("/")
    if owner.lower() not in (account_name.lower() for account_name in (user, *organizations)):
        note = f", or to one of its organizations: {', '.join(organizations)}" if organizations else ""
        sentence = f"{place.id} belongs to somebody else: {user} publishes to hf://{user}/NAME{note}"
        yield make_data_problem(sentence, str(dataclasses.replace(place, id=f"{user}/{name}")))
    elif not has_repository(api, place.id) and has_repository(api, place.id, "dataset"):
        sentence = f"on the Hub {place.id} is a dataset: checkpoints go to a model repository of another name"
        yield make_data_problem(sentence, str(dataclasses.replace(place, id=f"{owner}/NAME")))


def format_missing_right(token: str, repository: str) -> str:
    """Return why a token cannot write to a repository."""
    right = f"give it that right, or make one that has it, at {format_site()}/settings/tokens"
    return f"{token} may not write to {repository}: {right}"


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


__all__ = ["ENVIRONMENT", "IS_REQUIRED", "SOURCE", "get_name", "inspect", "locate", "normalize", "open"]

SOURCE = "robotrain_sources.huggingface.fetch"
IS_REQUIRED = False
LOG_IN = "hf auth login"
Answer = TypeVar("Answer")


def normalize(address: str) -> str:
    """Return the normal form of the address; empty if it is not a branch of the Hub."""
    try:
        return str(reference.parse_branch(address))
    except SourceError:
        return ""


def locate(address: str, name: str) -> str:
    """Return the address of a checkpoint: that of its tag."""
    return reference.parse_branch(address).locate(name)


def get_name(address: str, located: str) -> str:
    """Return the name of the checkpoint whose tag `located` is; empty if it is at another place."""
    branch = reference.parse_branch(address)
    repository, _, tag = located.removeprefix(reference.SCHEME).partition("@")
    return branch.parse_tag(tag) if repository == branch.id else ""


def inspect(address: str, context: ContainerContext) -> TargetInspection:
    """Check that the token may write to the repository; return the run of the branch, and its checkpoints."""
    return TargetInspection() if context.python is None else HubTargetWriter(address, context).inspect()


def open(address: str, context: ContainerContext) -> "HubTargetWriter":
    """Return a writer."""
    return HubTargetWriter(address, context)


class TokenProblem(OSError):
    """The token is missing, unreadable or refused. The text says which; `way` is what to type."""

    def __init__(self, sentence: str, way: str = "") -> None:
        super().__init__(sentence)
        self.way = way


class HubTargetWriter:
    """Publishes to one branch. Errors of the library become OSError with a sentence."""

    def __init__(self, address: str, context: ContainerContext) -> None:
        self._place = reference.parse_branch(address)
        self._context = context
        hint = context.credential_hints.get(Repository.kind, "")
        self._remedy = hint or f"log in with `{LOG_IN}`, or set HF_TOKEN"
        self._log_in = "" if hint else LOG_IN  # a job cannot log in

    def inspect(self) -> TargetInspection:
        """Return why one may not write there, the branch's run, and its checkpoints."""
        try:
            return self._ask_hub(self._inspect_branch)
        except TokenProblem as problem:
            return TargetInspection(problems=(make_data_problem(str(problem), problem.way),))
        except OSError as error:
            return TargetInspection(warnings=(str(error),))

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Commit a checkpoint with its card, and tag it."""
        description = self._context.describe_checkpoint(manifest.step)
        facts = dataclasses.asdict(description) if description else {}

        def publish(branch: HubBranch) -> tuple[bool, str]:
            return branch.publish(folder, manifest, facts, self._context.path_files)

        is_new, warning = call_cancellable(lambda: self._ask_hub(publish), halted)
        if warning:
            self._context.log_line(f"warning: {warning}")
        return is_new

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest tags of the run."""
        return call_cancellable(lambda: self._ask_hub(lambda branch: branch.delete_oldest(run, keep)), halted)

    def close(self) -> None:
        """Do nothing: no connection stays open."""

    def _inspect_branch(self, branch: HubBranch) -> TargetInspection:
        problems = [*find_problems(branch.api, self._place, branch.token, self._log_in)]
        if problems or not has_repository(branch.api, self._place.id):
            return TargetInspection(problems=tuple(problems))
        head = branch.read_head()
        other_place = f"{reference.SCHEME}{self._place.id}@BRANCH"
        if head and (foreign_file := head.find_foreign_file()):
            sentence = f"the branch {self._place.name} of {self._place.id} holds other files, such as {foreign_file}"
            return TargetInspection(problems=(make_data_problem(sentence, other_place),))
        owner = head.manifest if head else None
        if owner is None:
            return TargetInspection()
        names = branch.list_checkpoints()
        marks = {
            int(name): CheckpointMark(name=name, submission=owner.submission, tracking=owner.tracking) for name in names
        }
        return TargetInspection(
            owner=CheckpointOwner(run=owner.run, submission=owner.submission),
            runs={int(name): owner.run for name in names},
            marks=marks if owner.submission else {},
            other_place=other_place,
        )

    def _ask_hub(self, ask: Callable[[HubBranch], Answer]) -> Answer:
        silence_libraries()
        if problem := find_endpoint_problem():
            raise TokenProblem(problem)
        try:
            token = load_hub_token(self._context.credentials.get(Repository.kind, ""))
        except FetchError as error:
            raise TokenProblem(str(error)) from error
        if not token.text:
            raise TokenProblem(f"{format_hub()} requires a token to publish: {self._remedy}", self._log_in)
        try:
            return ask(HubBranch(self._place, token))
        except Exception as error:
            raise self._explain(error, token.description) from error

    def _explain(self, error: Exception, token: str) -> Exception:
        """Return an error of the library as OSError; those with a sentence, and system errors, stay as they are."""
        if isinstance(error, PermanentError | CommitMismatch) or (isinstance(error, OSError) and error.errno):
            return error
        status = next(filter(None, map(errors.parse_http_status, errors.iter_causes(error))), 0)
        if status == 403:
            return TokenProblem(format_missing_right(token, self._place.id), self._log_in)
        request = HubRequest(
            repository=self._place.id, kind="model", revision=self._place.name, token=token, remedy=self._remedy
        )
        sentence = explain_hub_error(error, request).why
        return TokenProblem(sentence, self._log_in) if status == 401 else OSError(sentence)
