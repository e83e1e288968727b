"""A Hub repository: the typed reference and its parser. Standard library only: container plugins import it."""

import re
from dataclasses import dataclass
from typing import ClassVar

from robotrain_runtime.contract.failure import SourceError

FORM = "OWNER/NAME[@REVISION]"
SCHEME = "hf://"
BRANCH_FORM = "hf://OWNER/NAME[@BRANCH]"
DEFAULT_BRANCH = "main"
DATASET_ROLES = ("dataset", "scenes")
"""Roles of repositories that are datasets on the Hub; those of all others are models."""
COMMIT_PATTERN = r"[0-9a-f]{40}"

_ID = r"(?a)(?:\b[\w.-]+\b/)?\b[\w.-]{1,96}\b"
_JOINED = r"(?i)lerobot[_.:\\ -]+[^/]+"
"""A repository of LeRobot whose owner another sign joins to its name. No repository without an owner is called so."""
_TOKEN = r"(?:hf|gh[opsur])_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}"
_NOT_IN_REF = r"[~^:?*\[\\#&=%{}'\"]|\s|\.\.|//|(?:^|/)\.|\.lock(?:/|$)|^[-/]|[/.]$|^@$"
"""Roughly what git refuses in the name of a branch or tag."""
ID_RULE = (
    "OWNER and NAME have letters, digits, `_`, `.` and `-`, with a letter, digit or `_` at both ends, no `--` and no "
    "`..`, and NAME at most 96 characters."
)


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
    refuse_token(text)
    address = re.fullmatch(r"hf://([^/?#@]+/[^/?#@]+(?:@[^?#]*)?)", text)
    name, separator, revision = (address[1] if address else text).partition("@")
    if not is_repository_id(name) or re.fullmatch(_JOINED, name):
        raise SourceError(f"A repository of the Hub is {FORM}. {ID_RULE}")
    if separator and (len(revision) > 255 or not revision.isprintable() or re.search(_NOT_IN_REF, revision)):
        raise SourceError("The part after `@` is a branch, a tag or a commit, as git names them.", f"{name}@REVISION")
    if separator and not revision:
        raise SourceError("The revision after `@` is missing.", name)
    return Repository(name, revision)


def refuse_token(text: str) -> None:
    """Raise SourceError for a text with an access token."""
    if re.search(_TOKEN, text):
        raise SourceError("This looks like an access token, and a job must not contain secrets.")


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
    """Return the branch that an address names. Raise SourceError."""
    refuse_token(address_text)
    match = re.fullmatch(r"hf://([^/?#@]+/[^/?#@]+)(?:@([^?#]*))?", address_text)
    if match is None:
        raise SourceError(f"The address of a model repository on the Hub is {BRANCH_FORM}.", f"{SCHEME}OWNER/NAME")
    name, branch = match.groups()
    if not is_repository_id(name):
        raise SourceError(ID_RULE, f"{SCHEME}OWNER/NAME")
    if branch is not None and (re.fullmatch(_NO_BRANCH, branch) or not re.fullmatch(_BRANCH, branch)):
        reason = (
            "A branch to publish to has letters, digits, `_`, `.` and `-`, at most 80, with a letter or digit at both "
            "ends; it is no commit, and no tag that robotrain gives a checkpoint."
        )
        raise SourceError(reason, f"{SCHEME}{name}@BRANCH")
    return RepositoryBranch(name, "" if branch in (None, DEFAULT_BRANCH) else branch)


_NO_BRANCH = rf"{COMMIT_PATTERN}|(?:.*-)?step-[0-9]+"
"""A commit, and tags of checkpoints."""
_BRANCH = r"(?a)(?!.*(?:\.\.|\.lock$))[A-Za-z0-9](?:[\w.-]{0,78}[A-Za-z0-9])?"
