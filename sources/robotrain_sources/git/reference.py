"""A repository of git at a revision: the typed reference and its parser."""

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote

from robotrain_runtime.contract.failure import SourceError

FORM = "git+https://HOST/OWNER/REPO@COMMIT"
COMMIT_PATTERN = r"[0-9a-f]{40}|[0-9a-f]{64}"
SUBDIRECTORY = "subdirectory="

_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_LOOPBACK = r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?"
"""Hosts that may be read without encryption: this machine."""
_PART = r"(?!(?:\.|%2[Ee]){1,2}(?:[/@#]|$))(?:[A-Za-z0-9._~+-]|%(?!2[Ff])[0-9A-Fa-f]{2})+"
_ADDRESS = (
    rf"(?ia:git\+(https?)://((?<=s://){_HOST}|{_LOOPBACK}))((?:/{_PART})+)/*"
    rf"(?:@([^?#]+))?(?:#{SUBDIRECTORY}([^?#&=]*))?"
)
_NOT_IN_REVISION = r"[~^:?*\[\\\s\x00-\x1f\x7f]|\.\.|//|@\{|(?:^|/)\.|\.lock(?:/|$)|^[-/]|[/.]$|^@$"


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
    match = re.fullmatch(_ADDRESS, text)
    revision, folder = (match[4] or "", unquote(match[5] or "").strip("/")) if match else ("", "")
    is_folder = folder.isprintable() and {"", ".", "..", ".git"}.isdisjoint(folder.split("/") if folder else ())
    if match is None or re.search(_NOT_IN_REVISION, revision) or len(revision) > 255 or not is_folder:
        raise SourceError(
            f"The address of a repository has the form {FORM}, or with a branch or a tag in place of the commit. "
            f"#{SUBDIRECTORY}PATH after it names a folder, without `..`. It has no user name, token or query: a job "
            "must not contain secrets."
        )
    return GitRepository(f"{match[1].lower()}://{match[2].lower()}{match[3]}", revision, folder)
