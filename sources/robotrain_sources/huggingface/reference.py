"""A repository of the Hub: the typed source, and the rules of contract C.6.

What is offered instead is always the printed form of a text that was read, so that it holds no query and no token.
Standard library only, so that a container half can import it.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, NoReturn

FORM = "OWNER/NAME[@REVISION]"

_ID = r"(?a)(?:\b[\w.-]+\b/)?\b[\w.-]{1,96}\b"
_TOKEN = r"(?:hf|gh[opsur])_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}"
_ADDRESS = (
    r"(?is)(?:hf:/+|(?:(?:https?:)?//)?(?:[^/?#]*@)?(?:www\.)?(?:huggingface\.co|hf\.co)(?::\d+)?/+)"
    r"(?:datasets/+)?(?!(?:datasets|spaces)/)(?P<id>[^/?#@]+/[^/?#@]+)(?:@(?P<at>[^/?#]+)|/(?:tree|resolve|blob)/(?P<tree>[^/?#]+))?.*"
)
_VERSIONED = r"[A-Za-z0-9_][A-Za-z0-9._-]*:[0-9]+"
_NOT_IN_REF = r"[~^:?*\[\\#&=%{}'\"]|\.\.|//|(?:^|/)\.|\.lock(?:/|$)"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at a revision: a branch, a tag or a commit. An empty revision is the default branch."""

    kind: ClassVar[str] = "huggingface"

    id: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id


class RepositoryError(ValueError):
    """Why a text names no repository, and what to type instead where that is known."""

    def __init__(self, why: str, suggestion: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.suggestion = suggestion


def parse_repository(text: str) -> Repository:
    """The repository that `text` names. Raises RepositoryError."""
    if re.search(_TOKEN, text):
        raise RepositoryError("This looks like an access token: a job never carries one.")
    if text != text.strip():
        raise RepositoryError("There is white space around the name.", _suggest_repository(text.strip()))
    name, at, revision = text.partition("@")
    if not is_repository_id(name):
        _raise_not_a_repository(text, name)
    if at:
        _check_revision(name, revision)
    return Repository(name, revision)


def is_repository_id(text: str) -> bool:
    """Whether the Hub would take `text` as a repository's id."""
    wrong = "--" in text or ".." in text or text.endswith(".git")
    return bool(re.fullmatch(_ID, text)) and not wrong


def _suggest_repository(text: str) -> str:
    """The normal form of `text`, or of what it would take to mend it; empty when nothing is known."""
    try:
        return str(parse_repository(text))
    except RepositoryError as refused:
        return refused.suggestion


def _raise_not_a_repository(text: str, name: str) -> NoReturn:
    if address := re.fullmatch(_ADDRESS, text):
        revision = address["at"] or address["tree"]
        instead = _suggest_repository(f"{address['id']}@{revision}") if revision else _suggest_repository(address["id"])
        raise RepositoryError("Type the repository's id, not its address.", instead)
    if text.lower().startswith("azureml:"):
        way = "a platform that takes no such name reads the blob URL of its files"
        raise RepositoryError(f"A name of Azure ML is no Hub repository; {way}.")
    if re.fullmatch(_VERSIONED, text):
        why = "A name with a version is one of a registry, no Hub repository: a model is"
        raise RepositoryError(f"{why} --policy-model NAME:VERSION, in Azure ML azureml:NAME:VERSION.")
    if "://" in text:
        raise RepositoryError("A Hub repository is named by its id, OWNER/NAME, not by an address.")
    if text.startswith(("/", "./", "../", "~")):
        raise RepositoryError("A folder of this machine is no Hub repository.")
    if name.endswith(".git"):
        raise RepositoryError(
            "A repository's id does not end with `.git`.", _suggest_repository(re.sub(r"(?:\.git)+$", "", name))
        )
    if name.endswith("/") and is_repository_id(name.rstrip("/")):
        raise RepositoryError("A repository's id does not end with a slash.", name.rstrip("/"))
    raise RepositoryError(
        "A repository's id is OWNER/NAME: letters, digits, `_`, `.` and `-`, with a letter, digit or `_` at both ends "
        "of each part, no `--`, no `..`, and a name of at most 96 characters."
    )


def _check_revision(name: str, revision: str) -> None:
    """The rules git has for the names of branches and tags, roughly."""
    if not revision:
        raise RepositoryError("The revision after `@` is missing.", name)
    seen = revision.isprintable() and not re.search(r"\s", revision) and len(revision) <= 255
    edges = not revision.startswith(("-", "/")) and not revision.endswith(("/", "."))
    if not seen or not edges or revision == "@" or re.search(_NOT_IN_REF, revision):
        raise RepositoryError(
            "The part after `@` is a branch, a tag or a commit, as git names them.", f"{name}@REVISION"
        )
