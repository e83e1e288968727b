"""Identities that read and write blobs: a secret in a file or key vault, or this machine's Azure sign-in.

They serve both clients: the SDK, which lists and publishes, and obstore, which fetches. A secret is read whenever it is
needed, as it may be replaced during a run, and is never printed.
"""

import contextlib
import functools
import importlib
import os
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal
from urllib.parse import parse_qs

from robotrain_sources.fetching import azure_sign_in, named_secret
from robotrain_sources.fetching.errors import FetchError

ACCEPTED_FORMS = "an account key, a SAS (sv=…&sig=…) or an access token"
FORM_NAMES = {"key": "the account key", "sas": "the SAS", "token": "the token"}

_KEY = r"[A-Za-z0-9+/]{86}=="
_TOKEN = r"eyJ[\w-]+\.[\w-]+\.[\w-]*"

SecretForm = Literal["key", "sas", "token"]


@dataclass(frozen=True, slots=True)
class StorageSecret:
    """A secret for Azure Storage and where it is, as the end of a sentence. The repr never shows its text."""

    location: str
    form: SecretForm
    text: str = field(repr=False)

    @property
    def form_name(self) -> str:
        """The form in words."""
        return FORM_NAMES[self.form]

    @property
    def expires(self) -> datetime | None:
        """When it expires, with a time zone; None if it does not say."""
        with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
            if self.form == "token":
                return datetime.fromtimestamp(azure_sign_in.parse_token_claims(self.text)["exp"], timezone.utc)
            if self.form == "sas":
                end = datetime.fromisoformat(parse_qs(self.text)["se"][0].replace("Z", "+00:00"))
                return end if end.tzinfo else end.replace(tzinfo=timezone.utc)
        return None


def read_storage_secret(location: str) -> StorageSecret:
    """Return the current secret of a file or key vault. Raise FetchError if it is not one for Azure Storage."""
    secret_text = named_secret.read_secret(location, ACCEPTED_FORMS).removeprefix("?")
    form: SecretForm
    if re.fullmatch(_KEY, secret_text):
        form = "key"
    elif re.fullmatch(_TOKEN, secret_text):
        form = "token"
    elif not re.search(r"\s|://", secret_text) and {"sv", "sig"} <= parse_qs(secret_text).keys():
        form = "sas"
    else:
        raise named_secret.make_content_error(location, ACCEPTED_FORMS)
    secret = StorageSecret(named_secret.describe_location(location), form, secret_text)
    if secret.expires and secret.expires <= datetime.now(timezone.utc):
        expiry = f"{secret.expires.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
        raise FetchError(f"{secret.form_name} in {secret.location} expired at {expiry}: replace it", "configuration")
    return secret


def describe_token_holder(token: str) -> str:
    """Return the holder of a token in words; empty if the token does not say."""
    claims = azure_sign_in.parse_token_claims(token)
    if person := claims.get("upn") or claims.get("unique_name") or claims.get("preferred_username"):
        return str(person)
    ids = (("client", claims.get("appid") or claims.get("azp")), ("object", claims.get("oid")))
    description = ", ".join(f"{noun} id {identifier}" for noun, identifier in ids if identifier)
    return description and f"the identity with {description}"


NO_EXPIRY = 2**31
READER_ROLE = "Storage Blob Data Reader"


class FileIdentity:
    """The identity of a secret in a file or key vault. Raises FetchError if the secret is not for Azure Storage."""

    def __init__(self, file: str) -> None:
        self._file = file
        read_storage_secret(file)  # raises for another secret

    def get_sdk_credential(self, account: str) -> Any:
        """Return a credential for the SDK."""
        secret = read_storage_secret(self._file)
        core = importlib.import_module("azure.core.credentials")
        if secret.form == "key":
            return core.AzureNamedKeyCredential(account, secret.text)
        return core.AzureSasCredential(secret.text) if secret.form == "sas" else self

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """Return the token; the SDK calls this."""
        secret = read_storage_secret(self._file)
        expires_on = int(secret.expires.timestamp()) if secret.expires else NO_EXPIRY
        return importlib.import_module("azure.core.credentials").AccessToken(secret.text, expires_on)

    def get_obstore_credential(self) -> dict[str, Any]:
        """Return the current secret for obstore."""
        secret = read_storage_secret(self._file)
        name = {"key": "access_key", "sas": "sas_token", "token": "token"}[secret.form]
        return {name: secret.text, "expires_at": secret.expires}

    def describe(self) -> str:
        """Describe it by its file, and by the holder of a token."""
        secret = read_storage_secret(self._file)
        holder = describe_token_holder(secret.text) if secret.form == "token" else ""
        return f"{secret.form_name} in {secret.location}{f' ({holder})' if holder else ''}"


STORAGE_SCOPE = "https://storage.azure.com/.default"
RENEWAL_SECONDS = 300
"""Seconds before its expiry that a token is renewed."""


class MachineIdentity:
    """The identity of Azure's default credential; its token for storage is requested once.

    Azure's library is imported when a token is needed: cached data needs none.
    """

    def __init__(self) -> None:
        self._token = azure_sign_in.ExpiringAnswer()

    @functools.cached_property
    def _chain(self) -> Any:
        return azure_sign_in.make_azure_credential()

    def get_sdk_credential(self, account: str) -> Any:
        """Return itself: the SDK calls `get_token`."""
        return self

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """Return a token for storage, cached here as sign-ins by a program cache none. Raise what the chain raises."""
        if options.get("claims") or options.get("tenant_id"):  # the service requests a special token
            return self._chain.get_token(*scopes, **options)
        return self._token.load(self._request_token)

    def get_obstore_credential(self) -> dict[str, Any]:
        """Return a token for obstore."""
        token = self.get_token(STORAGE_SCOPE)
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, timezone.utc)}

    def describe(self) -> str:
        """Describe it by the holder of its token."""
        try:
            holder = describe_token_holder(self.get_token(STORAGE_SCOPE).token)
        except Exception:
            holder = ""
        client = os.environ.get("AZURE_CLIENT_ID")
        return holder or (f"the identity with client id {client}" if client else "the identity of this machine")

    def _request_token(self) -> tuple[Any, float]:
        """Return a token and the seconds until it should be renewed."""
        token = self._chain.get_token(STORAGE_SCOPE)
        return token, token.expires_on - time.time() - RENEWAL_SECONDS


BlobIdentity = FileIdentity | MachineIdentity


def load_identity(credential: str) -> BlobIdentity:
    """Return the identity of the secret `credential`, else of this machine. Raise FetchError."""
    if credential:
        return FileIdentity(credential)
    with _sign_in_lock:
        return _sign_in(tuple(sorted(os.environ.items())))


@functools.lru_cache(maxsize=2)
def _sign_in(environ: tuple[tuple[str, str], ...]) -> MachineIdentity:
    """Sign in once for all sources of a process; another environment may be another identity."""
    return MachineIdentity()


_sign_in_lock = threading.Lock()
