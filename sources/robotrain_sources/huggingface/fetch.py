"""Runs in the data environment: the files of a Hub repository at one commit, as the transfer fetches them."""

import functools
import importlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from robotrain_sources.fetching import credential as fetching_credential
from robotrain_sources.fetching import files
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.huggingface import errors, reference
from robotrain_sources.huggingface.reference import Repository
from robotrain_sources.transfer import origin
from robotrain_sources.transfer.origin import SourceFile

PICKLED_SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
SAFE_SUFFIX = ".safetensors"


def select_files(file_names: Iterable[str]) -> list[str]:
    """The names to fetch: all, without pickled weights where there are safe ones."""
    kept = sorted(name for name in file_names if not files.is_debris(name))
    if any(name.endswith(SAFE_SUFFIX) for name in kept):
        return [name for name in kept if not name.endswith(PICKLED_SUFFIXES)]
    return kept


REQUEST_SECONDS = 20.0
"""That a request may go on without a byte, where the library sets no end."""
TIMEOUT_KEYS = ("connect", "read", "write", "pool")


@functools.cache  # to set the factory again would close the client that another source uses
def import_hub_library() -> Any:
    """The library; it keeps its own client, and its own tries after one that took too long."""
    importlib.import_module("huggingface_hub").set_client_factory(_make_http_client)
    return importlib.import_module("huggingface_hub")


def _make_http_client() -> Any:
    client = importlib.import_module("huggingface_hub.utils._http").default_client_factory()
    client.event_hooks["request"].append(_set_request_timeout)
    return client


def _set_request_timeout(request: Any) -> None:
    """A client's own timeout would not do: the library asks page after page with none, in so many words."""
    given = request.extensions.get("timeout", {})
    waits = {what: REQUEST_SECONDS if given.get(what) is None else given[what] for what in TIMEOUT_KEYS}
    request.extensions = {**request.extensions, "timeout": waits}


TOKEN_FORM = "a token of the Hub (hf_…), and nothing else"


@dataclass(frozen=True, slots=True)
class HubToken:
    """text: in no printed form of this; empty for none. what: as a sentence names it; empty for none."""

    text: str = field(default="", repr=False)
    description: str = ""


def load_hub_token(credential: str) -> HubToken:
    """That of the file or the secret `credential`, else the one of this machine. Raises Refused."""
    if credential:
        text = fetching_credential.read_secret(credential, TOKEN_FORM)
        if not re.fullmatch(r"[!-~]{8,4096}", text):
            raise fetching_credential.make_content_error(credential, TOKEN_FORM)
        return HubToken(text, f"the token in {fetching_credential.describe_location(credential)}")
    text = importlib.import_module("huggingface_hub").get_token() or ""
    return HubToken(text, "your token (HF_TOKEN)" if text else "")


COMMIT_PATTERN = r"[0-9a-f]{40}"
INFO_SECONDS, PAUSE_SECONDS = 10.0, 1.0
MAX_SIBLINGS = 50_000
"""Of more files than that the Hub's short way of listing may leave some out, as its library knows."""
UNREDIRECTABLE_PATTERN = r"[\[\]|^]"
"""What obstore 0.12 leaves in an address as it is, and then cannot join a redirection to."""
QUIET_ENV = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",  # its warnings repeat addresses with their signatures
}


class RepositoryFiles:
    """The files of one repository. kind: model or dataset. way: what to type to give the job a token."""

    def __init__(self, repository: Repository, kind: str, token: HubToken, way: str = "") -> None:
        self.place = f"huggingface/{kind}s/{repository.id.replace('/', '--')}"
        self._commit = repository.revision
        self._repository = repository
        self._kind = kind
        self._token = token
        self._way = way
        self._hub = import_hub_library().HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token.text or None)

    def list_files(self) -> Iterator[SourceFile]:
        """The files of the commit, or of the one that the revision is now."""
        info = self._load_repository_info()
        self._commit = str(info.sha)
        siblings = info.siblings or ()
        found = map(
            _check_fetchable,
            map(_make_sibling_file, siblings) if 0 < len(siblings) <= MAX_SIBLINGS else self._list_tree(),
        )
        if self._kind == "dataset":
            return (entry for entry in found if not files.is_debris(entry.name))
        known = {entry.name: entry for entry in found}
        return (known[name] for name in select_files(known))

    def open_store(self) -> Any:
        """The addresses of the commit's files. A token goes to the Hub alone, not to where it sends on to."""
        kind = "datasets/" if self._kind == "dataset" else ""
        address = f"{self._hub.endpoint}/{kind}{self._repository.id}/resolve/{self._commit}"
        options: dict[str, Any] = {**origin.CLIENT_OPTIONS, "allow_http": address.startswith("http://")}
        if self._token.text:
            options["default_headers"] = {"authorization": f"Bearer {self._token.text}"}
        return importlib.import_module("obstore.store").HTTPStore(
            address, client_options=options, retry_config=dict(origin.RETRY_CONFIG)
        )

    def get_store_path(self, name: str) -> str:
        """The name itself."""
        return name

    def find_pin_mismatch(self, digest: str) -> str:
        """Nothing: what is pinned is a commit, and that was listed."""
        return ""

    def explain_empty(self) -> FetchError:
        """That the repository is empty."""
        return FetchError(f"{self._repository.id} holds no files at {self._commit}", "configuration")

    def explain_error(self, error: Exception) -> FetchError:
        """Why the Hub did not give something."""
        asked = errors.HubRequest(
            repository=self._repository.id,
            kind=self._kind,
            revision=self._repository.revision,
            token=self._token.description,
            remedy=self._way,
        )
        return errors.explain_fetch_error(error, asked)

    def _load_repository_info(self, tries: int = 2) -> Any:
        """What the Hub tells of the repository."""
        revision = self._repository.revision or None
        try:
            return self._hub.repo_info(
                self._repository.id, revision=revision, repo_type=self._kind, files_metadata=True, timeout=INFO_SECONDS
            )
        except Exception as error:
            if tries < 2 or self.explain_error(error).fault != "network":
                raise
        time.sleep(PAUSE_SECONDS)
        return self._load_repository_info(tries - 1)

    def _list_tree(self) -> Iterator[SourceFile]:
        """The files, page by page."""
        listed = self._hub.list_repo_tree(
            self._repository.id, recursive=True, revision=self._commit, repo_type=self._kind
        )
        return (_make_source_file(found.path, found) for found in listed if hasattr(found, "blob_id"))


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> RepositoryFiles:
    """The files of the repository. Raises Refused when it is none, or the credential file is of no use."""
    try:
        named = reference.parse_repository(uri)
    except reference.RepositoryError as refused:
        raise FetchError(f"{uri} names no repository of the Hub: {refused.why}", "configuration") from None
    if pin and not re.fullmatch(COMMIT_PATTERN, pin):
        raise FetchError(
            f"{uri} is pinned to {pin}, and a repository of the Hub is pinned to a commit of 40 digits", "configuration"
        )
    os.environ.update(QUIET_ENV)  # before the library is imported
    kind = "dataset" if role == "dataset" else "model"
    return RepositoryFiles(Repository(named.id, pin or named.revision), kind, load_hub_token(credential), way)


def _make_sibling_file(info: Any) -> SourceFile:
    return _make_source_file(info.rfilename, info)


def _check_fetchable(entry: SourceFile) -> SourceFile:
    """A file whose address obstore can follow to where large ones lie. Raises Refused."""
    if entry.sha256 and (stray := re.search(UNREDIRECTABLE_PATTERN, entry.name)):
        raise FetchError(
            f"the Hub's {entry.name!r} cannot be fetched with {stray[0]!r} in its name: rename it there", "data"
        )
    return entry


def _make_source_file(name: str, info: Any) -> SourceFile:
    """A file as the transfer knows it: a large one by its SHA-256, a small one as git does."""
    known = {"sha256": info.lfs.sha256} if info.lfs else {"git": info.blob_id or ""}
    return SourceFile(name=name, size=info.size or 0, **known)
