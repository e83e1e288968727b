"""How the files of a Hub repository are fetched: the listing of one commit, and the store they are read from.

Runs in the data environment. `robotrain_sources.transfer` downloads the files from that store, as for every source.
"""

import functools
import importlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from robotrain_runtime.contract.failure import PermanentError, SourceError

from robotrain_sources.fetching import errors, named_secret
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.huggingface import layout, reference
from robotrain_sources.huggingface.errors import (
    HubRequest,
    explain_hub_error,
    find_endpoint_problem,
    find_token_problem,
)
from robotrain_sources.huggingface.reference import COMMIT_PATTERN, DATASET_ROLES, DEFAULT_BRANCH, Repository
from robotrain_sources.transfer.origin import RETRY_CONFIG, DataOrigin, SourceFile, is_debris

CARRIER = "robotrain_sources.transfer.container"

PICKLED_SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
SAFE_SUFFIX = ".safetensors"


def select_files(file_names: Iterable[str]) -> list[str]:
    """Return the names to fetch: all, but no pickled weights where there are safetensors."""
    fetched_names = sorted(name for name in file_names if not is_debris(name))
    if any(name.endswith(SAFE_SUFFIX) for name in fetched_names):
        return [name for name in fetched_names if not name.endswith(PICKLED_SUFFIXES)]
    return fetched_names


REQUEST_SECONDS = 20.0
"""Timeout of requests for which the library sets none."""
TIMEOUT_KEYS = ("connect", "read", "write", "pool")


@functools.cache  # to set the factory again would close the client that another source uses
def import_hub_library() -> Any:
    """Import the library and set its request timeout; it retries by itself, and prints nothing."""
    hub = importlib.import_module("huggingface_hub")
    constants: Any = importlib.import_module("huggingface_hub.constants")
    constants.HF_HUB_DISABLE_TELEMETRY = True  # variables of the environment would be the work's too
    constants.HF_HUB_DISABLE_XET = True  # large files go by LFS, which every server that plays the Hub takes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variable of the user's says otherwise
        importlib.import_module("huggingface_hub.utils").disable_progress_bars()
    hub.logging.set_verbosity_error()  # its warnings repeat addresses with their signatures

    def make_client() -> Any:
        client = importlib.import_module("huggingface_hub.utils._http").default_client_factory()
        client.event_hooks["request"].append(_set_request_timeout)
        return client

    hub.set_client_factory(make_client)
    return hub


def _set_request_timeout(request: Any) -> None:
    """Set the timeout of each request: the library lists pages with an explicit timeout of None."""
    current = request.extensions.get("timeout", {})
    timeouts = {key: REQUEST_SECONDS if current.get(key) is None else current[key] for key in TIMEOUT_KEYS}
    request.extensions = {**request.extensions, "timeout": timeouts}


TOKEN_FORM = "a token of the Hub (hf_…), and nothing else"


@dataclass(frozen=True, slots=True)
class HubToken:
    """A token of the Hub and its description for messages; both empty for none. The repr never shows the token."""

    text: str = field(default="", repr=False)
    description: str = ""


def load_hub_token(credential: str) -> HubToken:
    """Return the token in `credential`, else that of this machine. Raise FetchError."""
    if credential:
        token_text = named_secret.read_secret(credential, TOKEN_FORM)
        if not re.fullmatch(r"[!-~]{8,4096}", token_text):
            raise named_secret.make_content_error(credential, TOKEN_FORM)
        return HubToken(token_text, f"the token in {named_secret.describe_location(credential)}")
    token_text = import_hub_library().get_token() or ""
    if problem := find_token_problem(token_text):
        raise FetchError(problem, "configuration")
    return HubToken(token_text, "your token (HF_TOKEN)" if token_text else "")


FILE_SECONDS = 20.0


def read_file(api: Any, repository: str, path: str, commit: str, kind: str = "model") -> bytes | None:
    """Return the content of a small file of a commit; None if it has none of the name. Raise as the library."""
    utils: Any = importlib.import_module("huggingface_hub.utils")
    address = import_hub_library().hf_hub_url(repository, path, repo_type=kind, revision=commit, endpoint=api.endpoint)
    headers = utils.build_hf_headers(token=api.token, library_name="robotrain")
    response = utils.get_session().get(address, headers=headers, timeout=FILE_SECONDS, follow_redirects=True)
    if response.status_code == 404:
        return None
    utils.hf_raise_for_status(response)
    file_bytes: bytes = response.content
    return file_bytes


INFO_SECONDS, INFO_ANSWER_SECONDS = 10.0, 20.0
MAX_SIBLINGS = 50_000
"""With more files, the Hub's short listing may be incomplete."""


class RepositoryFiles(DataOrigin):
    """The files of one repository; `kind` is model or dataset, `remedy` the platform's way to give the job a token.

    As a checkpoint it has the files of the one that robotrain published, where they were before: see `layout`.
    """

    can_leave_out = True  # a commit identifies each file

    def __init__(
        self, repository: Repository, kind: str, token: HubToken, remedy: str = "", *, is_checkpoint: bool = False
    ) -> None:
        self._is_checkpoint = is_checkpoint
        self._repository_paths: dict[str, str] = {}
        self.place = f"huggingface/{kind}s/{repository.id.replace('/', '--')}"
        self._commit = repository.revision or DEFAULT_BRANCH
        self._repository = repository
        self._kind = kind
        self._token = token
        self._request = HubRequest(
            repository=repository.id, kind=kind, revision=repository.revision, token=token.description, remedy=remedy
        )
        self._hub = import_hub_library().HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token.text or None)

    def list_files(self) -> Iterator[SourceFile]:
        """List the files of the commit, or of the revision's current commit."""
        repository_info = errors.retry_once(self._load_repository_info)
        self._commit = str(repository_info.sha)
        siblings = repository_info.siblings or ()
        if 0 < len(siblings) <= MAX_SIBLINGS:
            listing = (_make_source_file(sibling.rfilename, sibling) for sibling in siblings)
        else:
            tree_items = self._hub.list_repo_tree(
                self._repository.id, recursive=True, revision=self._commit, repo_type=self._kind
            )
            listing = (
                _make_source_file(tree_item.path, tree_item)
                for tree_item in tree_items
                if hasattr(tree_item, "blob_id")
            )
        if self._is_checkpoint:
            return self._arrange_checkpoint({source_file.name: source_file for source_file in listing})
        if self._kind == "dataset":
            return (source_file for source_file in listing if not is_debris(source_file.name))
        entry_by_name = {source_file.name: source_file for source_file in listing}
        return (entry_by_name[name] for name in select_files(entry_by_name))

    def _arrange_checkpoint(self, files_by_name: dict[str, SourceFile]) -> Iterator[SourceFile]:
        """Yield the files of the checkpoint under their paths in it; all files if robotrain did not publish it."""
        try:
            manifest_bytes = (
                read_file(self._hub, self._repository.id, MANIFEST, self._commit) if MANIFEST in files_by_name else b""
            )
            manifest = checkpoint.parse_manifest(manifest_bytes or b"")
            paths = {**layout.map_paths(manifest), MANIFEST: MANIFEST} if manifest else {}
        except PermanentError as error:
            raise FetchError(f"{self._repository} is not a checkpoint: {error}", "data") from None
        except Exception as error:
            raise self._make_fetch_error(error) from error
        if manifest is None:
            yield from (source_file for source_file in files_by_name.values() if not is_debris(source_file.name))
            return
        if missing_paths := sorted({*paths.values()} - files_by_name.keys()):
            raise FetchError(f"{self._repository} lacks {missing_paths[0]}, which its {MANIFEST} names", "data")
        self._repository_paths = paths
        for path, repository_path in paths.items():
            yield replace(files_by_name[repository_path], name=path)

    def get_store_path(self, name: str) -> str:
        """Return the path of a file in the repository."""
        return self._repository_paths.get(name, name)

    def open_store(self, client_options: Mapping[str, Any]) -> Any:
        """Return the store of the commit's files. The token goes to the Hub only, not to redirection targets."""
        kind = "datasets/" if self._kind == "dataset" else ""
        address = f"{self._hub.endpoint}/{kind}{self._repository.id}/resolve/{quote(self._commit, safe='')}"
        options: dict[str, Any] = {**client_options, "allow_http": address.startswith("http://")}
        if self._token.text:
            options["default_headers"] = {"authorization": f"Bearer {self._token.text}"}
        return importlib.import_module("obstore.store").HTTPStore(
            address, client_options=options, retry_config=dict(RETRY_CONFIG)
        )

    def explain_empty(self) -> FetchError:
        """Return the error for an empty repository."""
        return FetchError(f"{self._repository.id} has no files at {self._commit}", "configuration")

    def explain_error(self, error: Exception) -> FetchError:
        """Return an error of the library or obstore as a FetchError."""
        return self._make_fetch_error(error)

    def _make_fetch_error(self, error: Exception, is_answer: bool = False) -> FetchError:
        if isinstance(error, FetchError):
            return error
        failure = explain_hub_error(error, self._request, is_answer=is_answer)
        return FetchError(failure.why, failure.fault)

    def _load_repository_info(self) -> Any:
        """Return what the Hub says of the commit. A Hub that sends a byte now and then is not waited for."""
        try:
            return DeadlineFuture(self._query_repository_info).result(INFO_ANSWER_SECONDS)
        except DeadlineExceeded:
            raise FetchError(f"the Hub gave no whole answer in {INFO_ANSWER_SECONDS:g} s", "network") from None

    def _query_repository_info(self) -> Any:
        revision = self._repository.revision or None
        try:
            repository_info = self._hub.repo_info(
                self._repository.id, revision=revision, repo_type=self._kind, files_metadata=True, timeout=INFO_SECONDS
            )
            if getattr(repository_info, "gated", False):  # everybody may list a gated repository, not download it
                self._hub.auth_check(self._repository.id, repo_type=self._kind)
            return repository_info
        except Exception as error:
            raise self._make_fetch_error(error, is_answer=True) from error


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> RepositoryFiles:
    """Return the files of the repository. Raise FetchError if it, or the credential file, is invalid."""
    try:
        repository = reference.parse_repository(uri)
    except SourceError as error:
        raise FetchError(f"{uri} is not a Hub repository: {error.why}", "configuration") from None
    if pin and not re.fullmatch(COMMIT_PATTERN, pin):
        raise FetchError(f"{uri} is pinned to {pin}, which is not a commit of 40 hex digits", "configuration")
    if problem := find_endpoint_problem():
        raise FetchError(problem, "configuration")
    kind = "dataset" if role in DATASET_ROLES else "model"
    pinned_repository = Repository(repository.id, pin or repository.revision)
    token = load_hub_token(credential)
    return RepositoryFiles(pinned_repository, kind, token, way, is_checkpoint=role == "resume")


def _make_source_file(name: str, info: Any) -> SourceFile:
    """Return a file for the transfer: a large one with its SHA-256, a small one with its git digest."""
    digest = {"sha256": info.lfs.sha256} if info.lfs else {"git": info.blob_id or ""}
    return SourceFile(name=name, size=info.size or 0, **digest)
