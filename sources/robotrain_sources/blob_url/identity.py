"""Identities that read and write blobs: a secret in a file or key vault, or this machine's Azure sign-in.

Its content is never
repeated.

The file is read whenever it is wanted, as somebody may put
a newer secret there while a run goes on.

Both of Azure's clients are served: the SDK, which lists and publishes, and obstore, which fetches.
"""

import base64
import contextlib
import functools
import importlib
import json
import os
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs

from robotrain_sources.fetching import credential
from robotrain_sources.fetching.errors import FetchError

ACCEPTED_FORMS = "an account key, a SAS (sv=…&sig=…) or an access token"
FORM_NAMES = {"key": "the account key", "sas": "the SAS", "token": "the token"}

_KEY = r"[A-Za-z0-9+/]{86}=="
_TOKEN = r"eyJ[\w-]+\.[\w-]+\.[\w-]*"

SecretForm = Literal["key", "sas", "token"]


@dataclass(frozen=True, slots=True)
class StorageSecret:
    """What it holds. place: where that lies, as the end of a sentence. text: in no printed form of this."""

    location: str
    form: SecretForm
    text: str = field(repr=False)

    @property
    def form_name(self) -> str:
        """Its form, as a sentence names it."""
        return FORM_NAMES[self.form]

    @property
    def expires(self) -> datetime | None:
        """When it is of no use any more, with its time zone; None where it does not say so."""
        with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
            if self.form == "token":
                return datetime.fromtimestamp(_parse_token_claims(self.text)["exp"], timezone.utc)
            if self.form == "sas":
                end = datetime.fromisoformat(parse_qs(self.text)["se"][0].replace("Z", "+00:00"))
                return end if end.tzinfo else end.replace(tzinfo=timezone.utc)
        return None


def read_storage_secret(location: str) -> StorageSecret:
    """What the file or the secret holds now. Raises Refused, with its name, where blobs are not read with that."""
    text = credential.read_secret(location, ACCEPTED_FORMS).removeprefix("?")
    form = _detect_form(text)
    if form is None:
        raise credential.make_content_error(location, ACCEPTED_FORMS)
    found = StorageSecret(credential.describe_location(location), form, text)
    if found.expires and found.expires <= datetime.now(timezone.utc):
        ended = f"{found.expires.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
        raise FetchError(
            f"{found.form_name} in {found.location} ended at {ended}: put a new one there", "configuration"
        )
    return found


def describe_token_holder(token: str) -> str:
    """Whom a token is of, as a sentence names them; empty when it does not say."""
    said = _parse_token_claims(token)
    if person := said.get("upn") or said.get("unique_name") or said.get("preferred_username"):
        return str(person)
    ids = (("client", said.get("appid") or said.get("azp")), ("object", said.get("oid")))
    named = ", ".join(f"{what} id {one}" for what, one in ids if one)
    return named and f"the identity with {named}"


def _parse_token_claims(token: str) -> dict[str, Any]:
    """What a token says; not verified, it is only told. Empty when it says nothing."""
    with contextlib.suppress(IndexError, ValueError):
        middle = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return said if isinstance(said, dict) else {}
    return {}


def _detect_form(text: str) -> SecretForm | None:
    """Which of the forms it has, told from its shape alone."""
    if re.fullmatch(_KEY, text):
        return "key"
    if re.fullmatch(_TOKEN, text):
        return "token"
    signed = not re.search(r"\s|://", text) and {"sv", "sig"} <= parse_qs(text).keys()
    return "sas" if signed else None


NO_EXPIRY = 2**31
READER_ROLE = "Storage Blob Data Reader"
NETWORK_RULES_HINT = "if all that is so, the account's network rules keep this machine out"


class FileIdentity:
    """What is in a file, as an identity. Raises Refused when that is nothing blobs are read with."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._form = read_storage_secret(file).form

    def get_sdk_credential(self, account: str) -> Any:
        """A credential of the SDK."""
        secret, core = read_storage_secret(self._file), importlib.import_module("azure.core.credentials")
        if secret.form == "key":
            return core.AzureNamedKeyCredential(account, secret.text)
        return core.AzureSasCredential(secret.text) if secret.form == "sas" else self

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """The token, as the SDK asks a credential for one."""
        secret = read_storage_secret(self._file)
        ends = int(secret.expires.timestamp()) if secret.expires else NO_EXPIRY
        return importlib.import_module("azure.core.credentials").AccessToken(secret.text, ends)

    def get_obstore_credential(self) -> dict[str, Any]:
        """What the file holds now, under obstore's name for it."""
        secret = read_storage_secret(self._file)
        name = {"key": "access_key", "sas": "sas_token", "token": "token"}[secret.form]
        return {name: secret.text, "expires_at": secret.expires}

    def describe(self) -> str:
        """By its file, and its holder where a token names one."""
        secret = read_storage_secret(self._file)
        holder = describe_token_holder(secret.text) if secret.form == "token" else ""
        return f"{secret.form_name} in {secret.location}{f' ({holder})' if holder else ''}"

    def describe_remedy(self, role: str, is_known: bool) -> str:
        """What a secret of that form must be."""
        if self._form == "key":
            return f"it must be a key of that account, and the account must allow access by key; {NETWORK_RULES_HINT}"
        if self._form == "sas":
            allowed = "read and to list (sp=rl)" if role == READER_ROLE else "write, read, list and delete (sp=racwdl)"
            return f"it must be for that container, and allow to {allowed}; {NETWORK_RULES_HINT}"
        if not is_known:
            return (
                f"it must be for Azure Storage, of the account's own tenant, and its holder needs the role {role} there"
            )
        return f"its holder needs the role {role} there; {NETWORK_RULES_HINT}"


STORAGE_SCOPE = "https://storage.azure.com/.default"
RENEWAL_SECONDS = 300
"""The seconds before its end that a token is renewed."""
FAILURE_SECONDS = 10
"""The seconds that a failure stands for all who ask: sixty sources wait no longer for it than one."""


class MachineIdentity:
    """Azure's own chain; its token for storage is asked for once."""

    def __init__(self) -> None:
        self._chain = credential.make_azure_credential()
        self._lock = threading.Lock()
        self._token: Any = None
        self._failed: tuple[float, Exception] | None = None

    def get_sdk_credential(self, account: str) -> Any:
        """Itself: the SDK calls `get_token`."""
        return self

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token for storage; the sign-ins that run a program keep none themselves. Raises what the chain raises."""
        if options.get("claims") or options.get("tenant_id"):  # a service that says what it wants
            return self._chain.get_token(*scopes, **options)
        with self._lock:
            if self._failed and time.monotonic() - self._failed[0] < FAILURE_SECONDS:
                raise self._failed[1]
            if self._token is None or self._token.expires_on - time.time() < RENEWAL_SECONDS:
                self._token = self._renew_token()
            return self._token

    def get_obstore_credential(self) -> dict[str, Any]:
        """A token, under obstore's name for it."""
        token = self.get_token(STORAGE_SCOPE)
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, timezone.utc)}

    def describe(self) -> str:
        """As its token names it."""
        try:
            named = describe_token_holder(self.get_token(STORAGE_SCOPE).token)
        except Exception:
            named = ""
        client = os.environ.get("AZURE_CLIENT_ID")
        return named or (f"the identity with client id {client}" if client else "the identity of this machine")

    def describe_remedy(self, role: str, is_known: bool) -> str:
        """A role, or the network."""
        if not is_known:
            return f"it must be of the account's own tenant, and needs the role {role} there"
        return f"give it the role {role} there; if it has that, the account's network rules keep this machine out"

    def _renew_token(self) -> Any:
        try:
            return self._chain.get_token(STORAGE_SCOPE)
        except Exception as error:
            self._failed = time.monotonic(), error
            raise


class BlobIdentity(Protocol):
    """One who asks."""

    def get_sdk_credential(self, account: str) -> Any:
        """The credential as Azure's SDK takes it, for a storage account."""

    def get_obstore_credential(self) -> dict[str, Any]:
        """The credential as obstore asks for it, in any thread."""

    def describe(self) -> str:
        """As a sentence names it."""

    def describe_remedy(self, role: str, is_known: bool) -> str:
        """What would let it in, as the end of a sentence. role: the one that would do. known: whether Azure takes it
        for somebody.
        """


def load_identity(credential: str) -> BlobIdentity:
    """The identity whose secret is in the file `credential`, else the one this machine has. Raises Refused."""
    if credential:
        return FileIdentity(credential)
    with _sign_in_lock:
        return _sign_in(tuple(sorted(os.environ.items())))


@functools.lru_cache(maxsize=2)
def _sign_in(environ: tuple[tuple[str, str], ...]) -> MachineIdentity:
    """One sign-in for all the sources of a process; another environment may be another identity."""
    return MachineIdentity()


_sign_in_lock = threading.Lock()
