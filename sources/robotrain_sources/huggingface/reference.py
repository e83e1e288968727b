"""A Hub repository: the typed reference and its parser.

Suggestions are always the printed form of a parsed text, so they contain no query and no token. Standard library only:
container plugins import it.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NoReturn

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form
from robotrain_runtime.contract.secret_rules import value_holds_secret

FORM = "OWNER/NAME[@REVISION]"
SCHEME = "hf://"
BRANCH_FORM = "hf://OWNER/NAME[@BRANCH]"
DEFAULT_BRANCH = "main"
DATASET_ROLES = ("dataset", "scenes")
"""Roles of repositories that are datasets on the Hub; those of all others are models."""
COMMIT_PATTERN = r"[0-9a-f]{40}"

_ID = r"(?a)(?:\b[\w.-]+\b/)?\b[\w.-]{1,96}\b"
_JOINED = r"(?i)(?P<owner>lerobot)[_.:\\ -]+(?P<name>[^/]+)"
"""A repository of LeRobot whose owner another sign joins to its name. No repository without an owner is called so."""
_TOKEN = r"(?:hf|gh[opsur])_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}"
_ADDRESS = (
    r"(?is)(?:hf:/*|(?:(?:https?:)?//)?(?:[^/?#]*@)?(?:www\.)?(?:huggingface\.co|hf\.co)(?::\d+)?/+)"
    r"(?:datasets/+)?(?!(?:datasets|spaces)/)(?P<id>[^/?#@]+/[^/?#@]+)(?:@(?P<at>[^/?#]+)|/(?:tree|resolve|blob)/(?P<tree>[^/?#]+))?.*"
)
_VERSIONED = r"[A-Za-z0-9_][A-Za-z0-9._-]*:[0-9]+"
_NOT_IN_REF = r"[~^:?*\[\\#&=%{}'\"]|\.\.|//|(?:^|/)\.|\.lock(?:/|$)"


@dataclass(frozen=True)
class Repository:
    """A repository at a revision: a branch, a tag or a commit. An empty revision is the default branch."""

    kind: ClassVar[str] = "huggingface"

    id: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id


def parse_repository(text: str) -> Repository:
    """Return the repository that `text` names: `OWNER/NAME[@REVISION]`, also after `hf://`. Raise SourceError."""
    if re.search(_TOKEN, text):
        raise SourceError("This looks like an access token, and a job must not contain secrets.")
    if text != text.strip():
        raise SourceError("There is white space around the name.", _suggest_repository(text.strip()))
    if re.fullmatch(r"hf://[^/?#@]+/[^/?#@]+(?:@[^?#]*)?", text):
        text = text.removeprefix(SCHEME)
    name, separator, revision = text.partition("@")
    if joined := re.fullmatch(_JOINED, name):
        reason = "A slash stands between the owner of a repository and its name."
        raise SourceError(reason, _suggest_repository(f"{joined['owner']}/{joined['name']}{separator}{revision}"))
    if not is_repository_id(name):
        _raise_not_a_repository(text, name)
    if separator and not revision:
        raise SourceError("The revision after `@` is missing.", name)
    if separator:  # roughly what git accepts as the name of a branch or tag
        has_valid_characters = revision.isprintable() and not re.search(r"\s", revision) and len(revision) <= 255
        has_valid_ends = not revision.startswith(("-", "/")) and not revision.endswith(("/", "."))
        if not has_valid_characters or not has_valid_ends or revision == "@" or re.search(_NOT_IN_REF, revision):
            reason = "The part after `@` is a branch, a tag or a commit, as git names them."
            raise SourceError(reason, f"{name}@REVISION")
    return Repository(name, revision)


_suggest_repository = partial(suggest_normal_form, parse_repository)


def is_repository_id(repository_id: str) -> bool:
    """Return whether `repository_id` is a valid repository id."""
    return bool(re.fullmatch(_ID, repository_id)) and not (
        "--" in repository_id or ".." in repository_id or repository_id.endswith(".git")
    )


@dataclass(frozen=True)
class RepositoryBranch:
    """A branch of a model repository, to write to. An empty one is `main`."""

    id: str
    branch: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.id}@{self.branch}" if self.branch else f"{SCHEME}{self.id}"

    @property
    def name(self) -> str:
        """The name of the branch."""
        return self.branch or DEFAULT_BRANCH

    def get_tag(self, checkpoint: str) -> str:
        """Return the tag of a checkpoint, given the name of its folder."""
        prefix = "" if self.name == DEFAULT_BRANCH else f"{self.branch}-"
        return f"{prefix}step-{checkpoint}"

    def parse_tag(self, tag: str) -> str:
        """Return the name of the checkpoint that a tag marks; empty for a tag of something else."""
        name = tag.removeprefix(self.get_tag(""))
        return name if name.isdecimal() and tag == self.get_tag(name) else ""

    def locate(self, checkpoint: str) -> str:
        """Return the address of a checkpoint, given the name of its folder."""
        return f"{SCHEME}{self.id}@{self.get_tag(checkpoint)}"


def parse_branch(address_text: str) -> RepositoryBranch:
    """Return the branch that an address names. Raise SourceError with the nearest correct address."""
    if re.search(_TOKEN, address_text):
        raise SourceError("This looks like an access token, and a job must not contain secrets.")
    if address_text != address_text.strip():
        raise SourceError("There is white space around the address.", _suggest_branch(address_text.strip()))
    match = re.fullmatch(r"hf://([^/?#@]+)/([^/?#@]+)(?:@([^?#]*))?", address_text)
    if match is None:
        _raise_not_a_branch(address_text)
    owner, name, branch = match.groups()
    address = f"{SCHEME}{owner}/{name}"
    if not is_repository_id(f"{owner}/{name}"):
        fixed_name = "/".join(_replace_characters(part) for part in (owner, re.sub(r"(?:\.git)+$", "", name)))
        raise SourceError(
            "OWNER and NAME have letters, digits, `_`, `.` and `-`, with a letter, digit or `_` at both ends, no `--` "
            "and no `..`, and NAME at most 96 characters.",
            f"{SCHEME}{fixed_name}" if is_repository_id(fixed_name) else "",
        )
    if branch == "":
        raise SourceError("The branch after `@` is missing.", address)
    if branch and re.fullmatch(COMMIT_PATTERN, branch):
        raise SourceError("A commit cannot be written to: name a branch.", address)
    if branch and re.fullmatch(_OWN_NAME, branch):
        reason = "This is a name that robotrain gives a checkpoint: name the branch that it is on."
        raise SourceError(reason, address)
    if branch and not re.fullmatch(_BRANCH, branch):
        fixed_name = _replace_characters(branch)
        characters = "letters, digits, `_`, `.` and `-`"
        reason = f"A branch to publish to has {characters}, at most 80, with a letter or digit at both ends."
        raise SourceError(
            reason, f"{address}@{fixed_name}" if re.fullmatch(_BRANCH, fixed_name) else f"{address}@BRANCH"
        )
    return RepositoryBranch(f"{owner}/{name}", "" if branch in (None, DEFAULT_BRANCH) else branch)


_suggest_branch = partial(suggest_normal_form, parse_branch)
_OWN_NAME = r"(?:.*-)?step-[0-9]+|robotrain-older-.*"
"""Tags of checkpoints, and the branches of those that are older than the head's."""
_BRANCH = r"(?a)(?!.*(?:\.\.|\.lock$))[A-Za-z0-9](?:[\w.-]{0,78}[A-Za-z0-9])?"


def _replace_characters(name: str) -> str:
    """Return a name with a dash in place of what it may not have; empty for a secret, which it would not hide."""
    return "" if value_holds_secret(name) else re.sub(r"(?a)-*[^\w.-]+-*|--+|\.\.+", "-", name).strip("-.")


def _raise_not_a_branch(address_text: str) -> NoReturn:
    if re.match(
        r"(?i)(?:hf:/+|(?:(?:https?:)?//)?(?:www\.)?(?:huggingface\.co|hf\.co)/+)(?:datasets|spaces)/", address_text
    ):
        raise SourceError("Checkpoints go to a model repository, not to a dataset or a space.", BRANCH_FORM)
    if address := re.fullmatch(_ADDRESS, address_text):
        branch = address["at"] or address["tree"]
        branch_address = f"{SCHEME}{address['id']}@{branch}" if branch else f"{SCHEME}{address['id']}"
        raise SourceError(f"The address of a place on the Hub is {BRANCH_FORM}.", _suggest_branch(branch_address))
    if match := re.fullmatch(r"(?i)hf:/*([^/?#@:]+/[^/?#@]+(?:@[^/?#]+)?)/*", address_text):
        raise SourceError(f"The address of a place on the Hub is {BRANCH_FORM}.", _suggest_branch(SCHEME + match[1]))
    if match := re.fullmatch(r"(?i)hf:/*([^/?#@:]+)/*(@[^/?#]+)?", address_text):
        raise SourceError(
            "The owner is missing: your name on the Hub, or an organization's.", f"{SCHEME}OWNER/{match[1]}"
        )
    raise SourceError(f"The address of a place on the Hub is {BRANCH_FORM}.")


def _raise_not_a_repository(repository_text: str, name: str) -> NoReturn:
    if repository_text.startswith("="):  # `-d=OWNER/NAME`
        reason = "A short option takes its value after a space, not after `=`."
        raise SourceError(reason, _suggest_repository(repository_text.removeprefix("=")))
    if address := re.fullmatch(_ADDRESS, repository_text):
        revision = address["at"] or address["tree"]
        repository_id = f"{address['id']}@{revision}" if revision else address["id"]
        suggestion = _suggest_repository(repository_id)
        is_dataset = re.search(r"(?i)[/:]datasets/", repository_text)  # a checkpoint is taken with the scheme alone
        way = suggestion if is_dataset or not suggestion else f"{SCHEME}{suggestion}"
        raise SourceError("Use the repository's id, not its address.", way)
    if repository_text.lower().startswith("azureml:"):
        raise SourceError(
            "An Azure ML name is not a Hub repository; platforms without such names accept the blob URL of its files."
        )
    if re.fullmatch(_VERSIONED, repository_text):
        raise SourceError(
            "A name with a version is not a Hub repository: use --policy-model NAME:VERSION for a registered model, "
            "azureml:NAME:VERSION in Azure ML."
        )
    if match := re.fullmatch(r"(?i)hf:/+([^/?#@:]+)/*(@[^/?#]+)?", repository_text):
        reason = "The name of the repository is missing after its owner."
        raise SourceError(reason, f"{SCHEME}{match[1]}/NAME{match[2] or ''}" if is_repository_id(match[1]) else "")
    if "://" in repository_text:
        raise SourceError("A Hub repository is an id, OWNER/NAME, not an address.")
    if repository_text.startswith(("/", "./", "../", "~")):
        raise SourceError("A local folder is not a Hub repository.")
    if name.endswith(".git"):
        raise SourceError(
            "A repository's id does not end with `.git`.", _suggest_repository(re.sub(r"(?:\.git)+$", "", name))
        )
    if name.endswith("/") and is_repository_id(name.rstrip("/")):
        raise SourceError("A repository's id does not end with a slash.", name.rstrip("/"))
    raise SourceError(
        "A repository's id is OWNER/NAME: letters, digits, `_`, `.` and `-`, with a letter, digit or `_` at both ends "
        "of each part, no `--`, no `..`, and a name of at most 96 characters."
    )
