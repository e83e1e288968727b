"""The signed-in identity of this process: its shared credential, its object id, and the title of a failed sign-in.

The order of identities is in `robotrain_sources.fetching.azure_sign_in`.
"""

import functools
import os
import re
import threading
import time
from typing import Any

from robotrain_sources.fetching.azure_sign_in import make_azure_credential, parse_token_claims
from robotrain_sources.fetching.errors import find_rejected_variable, suggest_other_value

from robotrain_azure.workspace import get_cloud

IDENTITY_PREFIXES = ("AZURE_", "IDENTITY_", "MSI_")
"""Prefixes of the environment variables that select an identity or a cloud."""
LOGIN_COMMAND = "az login"
TOKEN_CACHE_SECONDS = 120.0
"""Longer than one command needs tokens, shorter than a change of identity takes."""
RENEWAL_SECONDS = 300.0
"""Seconds before its expiry when a token is renewed, as in Azure's own clients."""


def get_shared_credential() -> "CachedCredential":
    """Return the process-wide credential: `az` takes a second for each token. Raises ModuleNotFoundError."""
    variables = tuple(sorted(variable for variable in os.environ.items() if variable[0].startswith(IDENTITY_PREFIXES)))
    with _CREDENTIAL_LOCK:
        return _make_credential(variables)


def clear_shared_credential() -> None:
    """Drop cached tokens that have expired or belong to another identity."""
    with _CREDENTIAL_LOCK:
        _make_credential.cache_clear()


class CachedCredential:
    """A credential that caches each token for a while. Thread-safe."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._tokens: dict[Any, tuple[float, Any]] = {}
        self._token_locks: dict[Any, threading.Lock] = {}
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """Return a token: the interface of Azure's older clients."""
        return self._get_cached_token("get_token", scopes, options)

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        """Return a token: the interface of Azure's newer clients."""
        return self._get_cached_token("get_token_info", scopes, {"options": options} if options else {})

    def _get_cached_token(self, method: str, scopes: tuple[str, ...], keywords: dict[str, Any]) -> Any:
        request_token = functools.partial(getattr(self._credential, method), *scopes, **keywords)
        options = keywords.get("options") or keywords
        if options.get("claims"):  # the last token was rejected
            return request_token()
        key = (method, scopes, repr(sorted(options.items())))
        with self._lock:
            token_lock = self._token_locks.setdefault(key, threading.Lock())
        with token_lock:  # one request per scope at a time
            valid_until, token = self._tokens.get(key, (0.0, None))
            if token is None or time.monotonic() > valid_until or token.expires_on - time.time() < RENEWAL_SECONDS:
                token = request_token()
                self._tokens[key] = (time.monotonic() + TOKEN_CACHE_SECONDS, token)
            return token


_CREDENTIAL_LOCK = threading.Lock()


@functools.lru_cache(maxsize=1)
def _make_credential(environment: tuple[tuple[str, str], ...]) -> CachedCredential:
    """Return a new credential for each set of identity variables: the chain reads them when it is made."""
    return CachedCredential(make_azure_credential())


UNKNOWN_OBJECT_ID = "OBJECT-ID"


def get_caller_object_id() -> str:
    """Return the object id of the signed-in identity, from its token; UNKNOWN_OBJECT_ID if that fails."""
    return str(_read_caller_claims().get("oid") or UNKNOWN_OBJECT_ID)


NAME_CLAIMS = ("name", "upn", "unique_name", "preferred_username", "app_displayname", "appid", "oid")
"""By which Azure calls who made something: a person by the name, an application by its name or its id."""


def get_caller_names() -> frozenset[str]:
    """Return what Azure may call the signed-in identity; nothing if its token does not say."""
    claims = _read_caller_claims()
    return frozenset(str(claims[name]) for name in NAME_CLAIMS if claims.get(name))


def _read_caller_claims() -> dict[str, Any]:
    """Return the claims of the signed-in identity's token; empty if there is none, as a request then says."""
    try:
        return parse_token_claims(
            str(get_shared_credential().get_token(f"https://{get_cloud().manager}/.default").token)
        )
    except Exception:  # a sign-in may raise anything
        return {}


NOT_SIGNED_IN = "you are not signed in to Azure"
SIGN_IN_EXPIRED = "your sign-in to Azure has expired"
EXPIRED_TOKEN_CODES = ("ExpiredAuthenticationToken", "InvalidAuthenticationToken")
"""Error codes that a new token resolves."""
_EXPIRED_SIGN_IN = r"AADSTS(?:70043|70044|700082|700084|50173|50078|50079|65001|50076)\b"
"""Codes of sign-ins that have expired or require interaction."""


def make_sign_in_title(message: str) -> str:
    """Return whether the sign-in is rejected, has expired or is missing, as a sentence."""
    if variable := find_rejected_variable(message):
        return f"Azure rejects the sign-in with {variable}"
    has_expired = re.search(_EXPIRED_SIGN_IN, message) or any(f" {code})" in message for code in EXPIRED_TOKEN_CODES)
    return SIGN_IN_EXPIRED if has_expired else NOT_SIGNED_IN


def suggest_sign_in(message: str) -> str:
    """Return how to sign in again, or which environment variable to correct."""
    variable = find_rejected_variable(message)
    return suggest_other_value(variable) if variable else LOGIN_COMMAND


def make_sign_in_reason(error: BaseException) -> str:
    """Return the message of a sign-in error without the words of `make_sign_in_title`."""
    detail = str(error).removeprefix(make_sign_in_title(str(error))).strip(" ().")
    return f"{detail[:1].upper()}{detail[1:]}." if detail else ""
