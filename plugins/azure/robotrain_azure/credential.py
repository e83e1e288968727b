"""The signed-in identity: its credential, its object id, and why a sign-in failed."""

import base64
import functools
import importlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

from robotrain_azure.workspace import get_cloud

EXCLUDED_CREDENTIALS = ("shared_token_cache", "visual_studio_code", "interactive_browser", "broker")
IDENTITY_PREFIXES = ("AZURE_", "IDENTITY_", "MSI_")
"""What names begin with by which an environment says who somebody is, and of which cloud."""
FAST_TIMEOUTS = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 10, "process_timeout": 10}
"""Nobody waits long to hear that nobody is signed in."""
TOKEN_CACHE_SECONDS = 120.0
"""Longer than one command asks for tokens, shorter than somebody takes to sign in as another."""
RENEWAL_SECONDS = 300.0
"""Seconds before its end from which a token is asked for anew: as Azure's own clients have it."""


def make_credential_chain() -> Any:
    """A secret in the environment, workload identity, a managed identity, `az login`, `azd auth login`: the first that
    is there. It reads AZURE_AUTHORITY_HOST. Raises ModuleNotFoundError where azure-identity is not installed.
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in its errors
    without: dict[str, Any] = {f"exclude_{name}_credential": True for name in EXCLUDED_CREDENTIALS}
    return importlib.import_module("azure.identity").DefaultAzureCredential(**without, **FAST_TIMEOUTS)


def get_shared_credential() -> "CachedCredential":
    """One for all that a process asks as the same one: `az` takes a second for each token. Raises as `chain` does."""
    said = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(IDENTITY_PREFIXES)))
    with _CREDENTIAL_LOCK:
        return _make_credential(said)


def clear_shared_credential() -> None:
    """Tokens that do not hold any more, or are another's, are asked for anew."""
    with _CREDENTIAL_LOCK:
        _make_credential.cache_clear()


class CachedCredential:
    """A credential that remembers each token for a while. Threads may share it."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._tokens: dict[Any, tuple[float, Any]] = {}
        self._token_locks: dict[Any, threading.Lock] = {}
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, **said: Any) -> Any:
        """As Azure's older clients ask for it."""
        return self._get_cached_token("get_token", scopes, said)

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        """As its newer ones do."""
        return self._get_cached_token("get_token_info", scopes, {"options": options} if options else {})

    def _get_cached_token(self, method: str, scopes: tuple[str, ...], keywords: dict[str, Any]) -> Any:
        ask = functools.partial(getattr(self._credential, method), *scopes, **keywords)
        options = keywords.get("options") or keywords
        if options.get("claims"):  # the last one was refused
            return ask()
        key = (method, scopes, repr(sorted(options.items())))
        with self._lock:
            asking = self._token_locks.setdefault(key, threading.Lock())
        with asking:  # who wants the same one waits for it; another scope is asked for meanwhile
            until, token = self._tokens.get(key, (0.0, None))
            if token is None or time.monotonic() > until or token.expires_on - time.time() < RENEWAL_SECONDS:
                token = ask()
                self._tokens[key] = (time.monotonic() + TOKEN_CACHE_SECONDS, token)
            return token


_CREDENTIAL_LOCK = threading.Lock()


@functools.lru_cache(maxsize=1)
def _make_credential(environment: tuple[tuple[str, str], ...]) -> CachedCredential:
    """The chain reads what the environment says when it is made: other words need another one."""
    return CachedCredential(make_credential_chain())


UNKNOWN_OBJECT_ID = "OBJECT-ID"


def get_caller_object_id() -> str:
    """That of whoever is signed in, from the token; UNKNOWN where it does not say."""
    try:
        token = str(get_shared_credential().get_token(f"https://{get_cloud().manager}/.default").token)
        claims = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return str(said.get("oid") or UNKNOWN_OBJECT_ID)
    except Exception:  # whatever a sign-in raises: a look that needs the answer says so with the word in its place
        return UNKNOWN_OBJECT_ID


NOT_SIGNED_IN = "nobody is signed in to Azure here"
SIGN_IN_EXPIRED = "the sign-in to Azure does not hold any more"
EXPIRED_TOKEN_CODES = ("ExpiredAuthenticationToken", "InvalidAuthenticationToken")
"""What a new token mends."""
_EXPIRED_SIGN_IN = r"AADSTS(?:70043|70044|700082|700084|50173|50078|50079|65001|50076)\b"
"""Sign-ins that held for a time, or that want to see the person again."""
_CREDENTIAL_NAME = r"^\s*(\w+Credential): "


def make_sign_in_title(message: str) -> str:
    """What it is, by what an error says of it."""
    ended = re.search(_EXPIRED_SIGN_IN, message) or any(f" {code})" in message for code in EXPIRED_TOKEN_CODES)
    return SIGN_IN_EXPIRED if ended else NOT_SIGNED_IN


def explain_sign_in_error(error: BaseException) -> str:
    """What an error says, and what was tried."""
    return " ".join((f"{error}.", *_list_credentials(error)))


def make_sign_in_reason(error: BaseException) -> str:
    """The same below a title of ours."""
    said = str(error).removeprefix(NOT_SIGNED_IN).strip(" ().")
    return " ".join((*([f"{said[:1].upper()}{said[1:]}."] if said else []), *_list_credentials(error)))


def iterate_causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _list_credentials(error: BaseException) -> Iterator[str]:
    """The sign-ins, by the names of Azure's library."""
    names = [name for one in iterate_causes(error) for name in re.findall(_CREDENTIAL_NAME, str(one), re.MULTILINE)]
    if names:
        yield f"These were tried: {', '.join(dict.fromkeys(names))}."
