"""Runs in the data environment: a repository of the Hub at one commit, as the transfer knows it."""

import importlib
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from robotrain_sources.fetching import names
from robotrain_sources.fetching.answer import Refused
from robotrain_sources.huggingface import choice, hub_token, library, repository, unfetched
from robotrain_sources.huggingface.repository import Repository
from robotrain_sources.transfer import client
from robotrain_sources.transfer.origin import Entry

COMMIT = r"[0-9a-f]{40}"
PATIENCE, PAUSE = 10.0, 1.0
LARGE = 50_000
"""Of more files than that the Hub's short way of listing may leave some out, as its library knows."""
ASTRAY = r"[\[\]|^]"
"""What obstore 0.12 leaves in an address as it is, and then cannot join a redirection to."""
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",  # its warnings repeat addresses with their signatures
}


class Files:
    """The files of one repository. kind: model or dataset. way: what to type to give the job a token."""

    def __init__(self, named: Repository, kind: str, shown: hub_token.Token, way: str = "") -> None:
        self.place = f"huggingface/{kind}s/{named.id.replace('/', '--')}"
        self._commit = named.revision
        self._named = named
        self._kind = kind
        self._token = shown
        self._way = way
        self._hub = library.patient().HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=shown.text or None)

    def entries(self) -> Iterator[Entry]:
        """The files of the commit, or of the one that the revision is now."""
        info = self._info()
        self._commit = str(info.sha)
        siblings = info.siblings or ()
        found = map(_checked, map(_sibling, siblings) if 0 < len(siblings) <= LARGE else self._tree())
        if self._kind == "dataset":
            return (entry for entry in found if not names.is_debris(entry.name))
        known = {entry.name: entry for entry in found}
        return (known[name] for name in choice.wanted(known))

    def store(self) -> Any:
        """The addresses of the commit's files. A token goes to the Hub alone, not to where it sends on to."""
        kind = "datasets/" if self._kind == "dataset" else ""
        address = f"{self._hub.endpoint}/{kind}{self._named.id}/resolve/{self._commit}"
        options: dict[str, Any] = {**client.OPTIONS, "allow_http": address.startswith("http://")}
        if self._token.text:
            options["default_headers"] = {"authorization": f"Bearer {self._token.text}"}
        return importlib.import_module("obstore.store").HTTPStore(
            address, client_options=options, retry_config=dict(client.RETRIES)
        )

    def path(self, name: str) -> str:
        """The name itself."""
        return name

    def unlike(self, digest: str) -> str:
        """Nothing: what is pinned is a commit, and that was listed."""
        return ""

    def nothing(self) -> Refused:
        """That the repository is empty."""
        return Refused(f"{self._named.id} holds no files at {self._commit}", "configuration")

    def refused(self, error: Exception) -> Refused:
        """Why the Hub did not give something."""
        asked = unfetched.Asked(
            repository=self._named.id,
            kind=self._kind,
            revision=self._named.revision,
            token=self._token.what,
            way=self._way,
        )
        return unfetched.of(error, asked)

    def _info(self, tries: int = 2) -> Any:
        """What the Hub tells of the repository."""
        revision = self._named.revision or None
        try:
            return self._hub.repo_info(
                self._named.id, revision=revision, repo_type=self._kind, files_metadata=True, timeout=PATIENCE
            )
        except Exception as error:
            if tries < 2 or self.refused(error).fault != "network":
                raise
        time.sleep(PAUSE)
        return self._info(tries - 1)

    def _tree(self) -> Iterator[Entry]:
        """The files, page by page."""
        listed = self._hub.list_repo_tree(self._named.id, recursive=True, revision=self._commit, repo_type=self._kind)
        return (_entry(found.path, found) for found in listed if hasattr(found, "blob_id"))


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> Files:
    """The files of the repository. Raises Refused when it is none, or the credential file is of no use."""
    try:
        named = repository.parse(uri)
    except repository.RepositoryError as refused:
        raise Refused(f"{uri} names no repository of the Hub: {refused.why}", "configuration") from None
    if pin and not re.fullmatch(COMMIT, pin):
        raise Refused(
            f"{uri} is pinned to {pin}, and a repository of the Hub is pinned to a commit of 40 digits", "configuration"
        )
    os.environ.update(QUIET)  # before the library is imported
    kind = "dataset" if role == "dataset" else "model"
    return Files(Repository(named.id, pin or named.revision), kind, hub_token.of(credential), way)


def _sibling(found: Any) -> Entry:
    return _entry(found.rfilename, found)


def _checked(entry: Entry) -> Entry:
    """A file whose address obstore can follow to where large ones lie. Raises Refused."""
    if entry.sha256 and (stray := re.search(ASTRAY, entry.name)):
        raise Refused(
            f"the Hub's {entry.name!r} cannot be fetched with {stray[0]!r} in its name: rename it there", "data"
        )
    return entry


def _entry(name: str, found: Any) -> Entry:
    """A file as the transfer knows it: a large one by its SHA-256, a small one as git does."""
    known = {"sha256": found.lfs.sha256} if found.lfs else {"git": found.blob_id or ""}
    return Entry(name=name, size=found.size or 0, **known)
