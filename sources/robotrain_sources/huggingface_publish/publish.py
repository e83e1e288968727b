"""The publish program of the data environment: commits checkpoints to a branch of the Hub, and tags them.

Run as `python -m robotrain_sources.huggingface_publish.publish URL [--credential FILE] [--way TEXT]`.
"""

import argparse
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.failure import PermanentError
from robotrain_runtime.contract.finding import Finding, make_finding
from robotrain_runtime.process.helper_process import serve_requests

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.huggingface.errors import (
    HubRequest,
    explain_hub_error,
    find_endpoint_problem,
    format_hub,
    format_site,
)
from robotrain_sources.huggingface.fetch import QUIET_ENV, HubToken, load_hub_token
from robotrain_sources.huggingface.reference import RepositoryBranch, parse_branch
from robotrain_sources.huggingface_publish.branch_client import BranchClient, is_status
from robotrain_sources.huggingface_publish.branch_writer import BranchWriter, CommitMismatch
from robotrain_sources.huggingface_publish.target import LOOK, PUT, TRIM

Body = Mapping[str, Any]
PLAIN_LFS = {"HF_HUB_DISABLE_XET": "1"}
"""Large files go by LFS, which every server that plays the Hub takes."""
LOG_IN = "hf auth login"
LOG_IN_HINT = f"log in with `{LOG_IN}`, or set HF_TOKEN"


def main() -> None:
    """Serve requests until the parent process ends."""
    parser = argparse.ArgumentParser(prog="publish")
    parser.add_argument("url", type=parse_branch)
    parser.add_argument("--credential", default="")
    parser.add_argument("--way", default="", help="command that gives the job a token")
    options = parser.parse_args()
    os.environ.update({**QUIET_ENV, **PLAIN_LFS})  # before the library is imported
    service = HubPublishService(options.url, options.credential, options.way)
    serve_requests({PUT: service.publish_checkpoint, TRIM: service.delete_oldest, LOOK: service.check_target})


class HubPublishService:
    """Answers requests of the container plugin. Errors of the library become OSError with a sentence."""

    def __init__(self, place: RepositoryBranch, credential: str, remedy: str = "") -> None:
        self._place = place
        self._credential = credential
        self._remedy = remedy or LOG_IN_HINT
        self._token_way = "" if remedy else LOG_IN  # a job cannot log in

    def publish_checkpoint(self, body: Body) -> Body:
        """Publish a checkpoint; answer whether it is new, and a warning."""
        folder, digest = Path(body["folder"]), str(body["digest"])
        facts = (body.get("description") or {}, body.get("path_files") or {})
        return self._run_action(lambda client: dataclasses.asdict(BranchWriter(client).publish(folder, digest, *facts)))

    def delete_oldest(self, body: Body) -> Body:
        """Delete the tags of the oldest checkpoints of a run; answer their names."""
        run, keep = str(body["run"]), int(body["keep"])
        return self._run_action(lambda client: {"removed": BranchWriter(client).delete_oldest(run, keep)})

    def check_target(self, body: Body) -> Body:
        """Check that the token may write there; answer what is wrong, the branch's run, and its checkpoints."""
        answer: dict[str, Any] = {"problems": [], "warnings": [], "owner": None, "steps": []}

        def check(client: BranchClient) -> Body:
            answer["problems"] = list(self._find_problems(client))
            if not answer["problems"] and client.find_repository() is not None:
                writer = BranchWriter(client)
                if claim := writer.read_claim():
                    answer.update(owner=dataclasses.asdict(claim), steps=writer.list_checkpoints())
                elif foreign := writer.find_foreign_file():
                    where = f"the branch {self._place.name} of {self._place.id}"
                    holds = f"{where} holds other files, such as {foreign}"
                    answer["problems"] = [make_finding(holds, f"hf://{self._place.id}@BRANCH")]
            return answer

        try:
            return self._run_action(check)
        except TokenProblem as problem:
            way = self._token_way if isinstance(problem, RefusedToken) else ""
            return {**answer, "problems": [make_finding(str(problem), way)]}
        except OSError as error:
            return {**answer, "warnings": [str(error)]}

    def _find_problems(self, client: BranchClient) -> Iterator[Finding]:
        """Yield why the token may not write to the repository, or why that cannot hold checkpoints."""
        token = client.token.description
        if not client.token.text:
            yield make_finding(f"{format_hub()} requires a token to publish: {self._remedy}", self._token_way)
            return
        account = client.api.whoami()
        access = account.get("auth", {}).get("accessToken", {})
        if access.get("role") == "read" or not _may_write(access, self._place.id):
            right = f"give it that right, or make one that has it, at {format_site()}/settings/tokens"
            yield make_finding(f"{token} may not write: {right}", self._token_way)
            return
        (owner, repository), name = self._place.id.split("/"), str(account.get("name"))
        roles = {str(one.get("name")): one.get("roleInOrg") for one in account.get("orgs", ())}
        if owner.lower() not in {one.lower() for one in (name, *roles)}:
            groups = f", or to one of its organizations: {', '.join(roles)}" if roles else ""
            where = f"{name} publishes to hf://{name}/NAME{groups}"
            yield make_finding(f"{self._place.id} belongs to somebody else: {where}", self._rename(name, repository))
        elif roles.get(owner) == "read":
            reads = f"{name} may only read what belongs to {owner}: ask an administrator of it for the role write"
            yield make_finding(reads, self._rename(name, repository))
        elif client.find_repository() is None and client.has_dataset():
            why = f"on the Hub {self._place.id} is a dataset: checkpoints go to a model repository of another name"
            yield make_finding(why, self._rename(owner, "NAME"))

    def _rename(self, owner: str, name: str) -> str:
        """Return the address of another repository, with the branch of this one."""
        return str(dataclasses.replace(self._place, id=f"{owner}/{name}"))

    def _run_action(self, action: Callable[[BranchClient], Body]) -> Body:
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
            who = token.description or "a request without a token"
            return RefusedToken(f"{format_hub()} does not accept {who} for {name} (HTTP 401){hint}")
        if is_status(error, 403):
            right = f"the right to write, at {format_site()}/settings/tokens"
            return OSError(f"{token.description} may not write to {name} (HTTP 403): it needs {right}")
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
    scoped = rules.get("scoped", ())
    owner = repository.partition("/")[0].lower()
    for one in scoped:
        entity = str(one.get("entity", {}).get("name", "")).lower()
        if "repo.write" in one.get("permissions", ()) and entity in (owner, repository.lower()):
            return True
    return not scoped and "repo.write" in rules.get("global", ())


if __name__ == "__main__":
    main()
