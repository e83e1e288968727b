"""Whether a token may write to a repository of the Hub, as far as the Hub tells before anything is written."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_sources.fetching import errors
from robotrain_sources.huggingface.errors import format_site
from robotrain_sources.huggingface.fetch import REQUEST_SECONDS
from robotrain_sources.huggingface.reference import RepositoryBranch


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
