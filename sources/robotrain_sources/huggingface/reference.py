"""A Hub repository: the typed reference and its parser.

Suggestions are always the printed form of a parsed text, so they contain no query and no token. Standard library only:
container plugins import it.
"""

import re
from functools import partial
from typing import ClassVar, NoReturn

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

FORM = "OWNER/NAME[@REVISION]"
COMMIT_PATTERN = r"[0-9a-f]{40}"

_ID = r"(?a)(?:\b[\w.-]+\b/)?\b[\w.-]{1,96}\b"
_TOKEN = r"(?:hf|gh[opsur])_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}"
_ADDRESS = (
    r"(?is)(?:hf:/+|(?:(?:https?:)?//)?(?:[^/?#]*@)?(?:www\.)?(?:huggingface\.co|hf\.co)(?::\d+)?/+)"
    r"(?:datasets/+)?(?!(?:datasets|spaces)/)(?P<id>[^/?#@]+/[^/?#@]+)(?:@(?P<at>[^/?#]+)|/(?:tree|resolve|blob)/(?P<tree>[^/?#]+))?.*"
)
_VERSIONED = r"[A-Za-z0-9_][A-Za-z0-9._-]*:[0-9]+"
_NOT_IN_REF = r"[~^:?*\[\\#&=%{}'\"]|\.\.|//|(?:^|/)\.|\.lock(?:/|$)"


@lazy_dataclass(frozen=True)
class Repository:
    """A repository at a revision: a branch, a tag or a commit. An empty revision is the default branch."""

    kind: ClassVar[str] = "huggingface"

    id: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id


def parse_repository(text: str) -> Repository:
    """Return the repository that `text` names. Raise SourceError."""
    if re.search(_TOKEN, text):
        raise SourceError("This looks like an access token, and a job must not contain secrets.")
    if text != text.strip():
        raise SourceError("There is white space around the name.", _suggest_repository(text.strip()))
    name, at, revision = text.partition("@")
    if not is_repository_id(name):
        _raise_not_a_repository(text, name)
    if at and not revision:
        raise SourceError("The revision after `@` is missing.", name)
    if at:  # roughly what git accepts as the name of a branch or tag
        has_valid_characters = revision.isprintable() and not re.search(r"\s", revision) and len(revision) <= 255
        has_valid_ends = not revision.startswith(("-", "/")) and not revision.endswith(("/", "."))
        if not has_valid_characters or not has_valid_ends or revision == "@" or re.search(_NOT_IN_REF, revision):
            why = "The part after `@` is a branch, a tag or a commit, as git names them."
            raise SourceError(why, f"{name}@REVISION")
    return Repository(name, revision)


_suggest_repository = partial(suggest_normal_form, parse_repository)


def is_repository_id(text: str) -> bool:
    """Return whether `text` is a valid repository id."""
    return bool(re.fullmatch(_ID, text)) and not ("--" in text or ".." in text or text.endswith(".git"))


def _raise_not_a_repository(text: str, name: str) -> NoReturn:
    if address := re.fullmatch(_ADDRESS, text):
        revision = address["at"] or address["tree"]
        repository_id = f"{address['id']}@{revision}" if revision else address["id"]
        raise SourceError("Use the repository's id, not its address.", _suggest_repository(repository_id))
    if text.lower().startswith("azureml:"):
        raise SourceError(
            "An Azure ML name is not a Hub repository; platforms without such names accept the blob URL of its files."
        )
    if re.fullmatch(_VERSIONED, text):
        raise SourceError(
            "A name with a version is not a Hub repository: use --policy-model NAME:VERSION for a registered model, "
            "azureml:NAME:VERSION in Azure ML."
        )
    if "://" in text:
        raise SourceError("A Hub repository is an id, OWNER/NAME, not an address.")
    if text.startswith(("/", "./", "../", "~")):
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
