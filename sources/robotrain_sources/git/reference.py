"""A repository of git at a revision: the typed reference and its parser."""

import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NoReturn
from urllib.parse import unquote

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form

FORM = "git+https://HOST/OWNER/REPO@COMMIT"
COMMIT_PATTERN = r"[0-9a-f]{40}|[0-9a-f]{64}"
SUBDIRECTORY = "subdirectory="
LOOPBACK_PATTERN = r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?"
"""Hosts that may be read without encryption: this machine."""

_ADDRESS = r"(?i)git\+(https?)://([^/?#]*)(/[^?#]*)?(\?[^#]*)?(?:#(.*))?"
_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_PATH = r"(?:/(?:[A-Za-z0-9._~+-]|%[0-9A-Fa-f]{2})+)+"
_SSH = r"(?i)(?:git\+)?(?:ssh://|git://)?(?:[^@/\s]+@)?([a-z0-9.-]+)(?::\d+/|[:/])/*([^@#\s]+?)(?:@([^#\s]+))?(?:#.*)?"
_WEB = r"(?i)(?:git\+)?(https?://[^/?#\s]+/[^?#\s]+?)(?:/(?:-/)?(?:tree|commit|blob)/([^/?#\s]+).*)?/?"
_NOT_IN_REVISION = r"[~^:?*\[\\\s\x00-\x1f\x7f]|\.\.|//|@\{|(?:^|/)\.|\.lock(?:/|$)|^[-/]|[/.]$|^@$"
_SECRET_HINT = "A user name or token in the address is a secret, and a job must not contain secrets."


@dataclass(frozen=True)
class GitRepository:
    """A folder of a repository at a revision: a branch, a tag or a commit. Empty: the default branch, its root."""

    kind: ClassVar[str] = "git"

    url: str
    """Its https address, as git takes it."""
    revision: str = ""
    subdirectory: str = ""
    """With slashes; relative."""

    @property
    def host(self) -> str:
        """The host, with its port."""
        return self.url.split("/")[2]

    @property
    def path(self) -> str:
        """The path on the host, without slashes around it and without `.git`."""
        return self.url.split("/", 3)[3].removesuffix(".git")

    @property
    def has_commit(self) -> bool:
        """Whether the revision is a full commit id."""
        return bool(re.fullmatch(COMMIT_PATTERN, self.revision))

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"git+{self.url}{revision}" + (f"#{SUBDIRECTORY}{self.subdirectory}" if self.subdirectory else "")


def parse_repository(text: str) -> GitRepository:
    """Return the repository that `text` names. Raise SourceError."""
    if text != text.strip():
        raise SourceError("There is white space around the address.", _suggest(text.strip()))
    match = re.fullmatch(_ADDRESS, text)
    if match is None:
        _raise_not_an_address(text)
    scheme = match[1].lower()
    host = match[2].lower()
    path_and_revision = match[3] or ""
    query = match[4]
    fragment = match[5] or ""
    path, _, revision = path_and_revision.partition("@")
    path = path.rstrip("/")
    if "@" in host:
        end = f"@{revision}" if revision else ""
        raise SourceError(_SECRET_HINT, _suggest(f"git+{scheme}://{host.rpartition('@')[2]}{path}{end}"))
    if not re.fullmatch(_HOST, host):
        raise SourceError("The host is missing or is not a valid name.")
    if query:
        reason = "A query can contain a token, and a job must not contain secrets."
        raise SourceError(reason, _suggest(f"git+{scheme}://{host}{path_and_revision}"))
    if scheme == "http" and not re.fullmatch(LOOPBACK_PATTERN, host):
        raise SourceError("Code is fetched with encryption only.", _suggest(f"git+https://{host}{path_and_revision}"))
    parts = [unquote(part) for part in path.split("/")[1:]]
    if not re.fullmatch(_PATH, path) or any(part in (".", "..") or "/" in part for part in parts):
        raise SourceError("The path of the repository is missing, or has characters that no repository has.", FORM)
    if path_and_revision.endswith("@") or re.search(_NOT_IN_REVISION, revision) or len(revision) > 255:
        reason = "The part after `@` is a branch, a tag or a commit, as git names them."
        raise SourceError(reason, f"git+{scheme}://{host}{path}@REVISION")
    if fragment and (not fragment.startswith(SUBDIRECTORY) or re.search(r"[?#&=]", fragment.partition("=")[2])):
        raise SourceError("The part after `#` names a folder of the repository.", f"{FORM}#{SUBDIRECTORY}PATH")
    folder = unquote(fragment.removeprefix(SUBDIRECTORY)).strip("/")
    if any(part in ("", ".", "..", ".git") for part in folder.split("/") if folder) or not folder.isprintable():
        raise SourceError("The folder after `#subdirectory=` is a relative path without `..`.", FORM)
    return GitRepository(f"{scheme}://{host}{path}", revision, folder)


_suggest = partial(suggest_normal_form, parse_repository)


def _raise_not_an_address(address_text: str) -> NoReturn:
    if "://" not in address_text or re.match(r"(?i)(?:git\+)?(?:ssh|git)://", address_text):
        if match := re.fullmatch(_SSH, address_text):
            end = f"@{match[3]}" if match[3] else ""
            address = f"git+https://{match[1]}/{match[2].removesuffix('.git')}{end}"
            raise SourceError("Code is fetched over https.", _suggest(address))
    elif match := re.fullmatch(_WEB, address_text):
        name, _, revision = match[1].partition("@")
        revision = match[2] or revision
        address = f"git+{name.removesuffix('.git')}" + (f"@{revision}" if revision else "")
        raise SourceError("The address of a repository begins with git+https://.", _suggest(address) or FORM)
    raise SourceError(f"The address of a repository has the form {FORM}.")
