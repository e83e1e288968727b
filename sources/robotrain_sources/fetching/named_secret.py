"""Secrets that a job names but never contains: read from a file or an Azure key vault.

It is also the store of secrets for the work of a job (`secrets.key_vault` in a job document): `accepts`, `read`.
"""

import importlib
import os
import re
from dataclasses import dataclass
from typing import Any

from robotrain_runtime.contract.problem import ProblemError, make_data_problem

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.azure_sign_in import (
    ExpiringAnswer,
    make_azure_credential,
    make_pipeline,
    make_token_policy,
    send_request,
)
from robotrain_sources.fetching.errors import FetchError

VAULT_ADDRESS_FORM = "https://VAULT.vault.azure.net/secrets/NAME"
VAULT_SUFFIXES = ("vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn")
_VAULT, _NAME, _VERSION = r"[a-z][a-z0-9-]{1,22}[a-z0-9]", r"[0-9A-Za-z-]{1,127}", r"[0-9A-Za-z]{32}"
_ADDRESS = rf"https://({_VAULT})\.({'|'.join(map(re.escape, VAULT_SUFFIXES))})/secrets/({_NAME})(?:/({_VERSION}))?/?"


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """A secret in an Azure key vault."""

    vault: str
    suffix: str
    """The rest of the vault's host name."""
    name: str
    version: str = ""
    """Empty for the newest."""

    def __str__(self) -> str:
        secret = f"version {self.version} of the secret" if self.version else "the secret"
        return f"{secret} {self.name} of the key vault {self.vault}"

    @property
    def host(self) -> str:
        """The vault's host name."""
        return f"{self.vault}.{self.suffix}"

    @property
    def address(self) -> str:
        """The secret's address."""
        return f"https://{self.host}/secrets/{self.name}" + (f"/{self.version}" if self.version else "")

    @property
    def scope(self) -> str:
        """The scope of an access token."""
        return f"https://{self.suffix}/.default"


def is_vault_address(location: str) -> bool:
    """Return whether the text is an address, not a file."""
    return "://" in location


def parse_vault_address(address: str) -> VaultSecret | None:
    """Return the secret at an address; None for anything else. The case of the host does not matter."""
    match = re.fullmatch(_ADDRESS, re.sub(r"^[^/]*//[^/]*", lambda host: host[0].lower(), address))
    return VaultSecret(match[1], match[2], match[3], match[4] or "") if match else None


VAULT_ROLE = "Key Vault Secrets User"
SIGN_IN_HINT = (
    f"give the job an identity with the role {VAULT_ROLE}: a workload identity, or a managed one (AZURE_CLIENT_ID)"
)


def explain_vault_error(error: Exception, secret: VaultSecret) -> FetchError:
    """Return the error for a secret that the vault does not give."""
    client = os.environ.get("AZURE_CLIENT_ID")
    identity_text = f"the identity with client id {client}" if client else "the identity of this machine"
    tenant_hint = f"{identity_text} must belong to the vault's tenant, and needs the role {VAULT_ROLE} there"
    hints = {401: tenant_hint, 403: f"{identity_text} needs the role {VAULT_ROLE} there"}
    return errors.explain(error, str(secret), hints=hints, sign_in=SIGN_IN_HINT)


API_VERSION = "7.4"
VAULT_TIMEOUTS = {"connection_timeout": 5, "read_timeout": 10}
ANSWER_SECONDS = 900.0
"""Seconds to cache a secret: it may be replaced during a run."""
_secrets: dict[VaultSecret, ExpiringAnswer] = {}


def read_vault_secret(secret: VaultSecret) -> str:
    """Return the text of a secret. Raise FetchError."""

    def request_text() -> tuple[str, float]:
        client = make_pipeline(f"https://{secret.host}", make_token_policy(make_azure_credential(), secret.scope))
        return errors.retry_once(lambda: _request_secret(client, secret)), ANSWER_SECONDS

    return str(_secrets.setdefault(secret, ExpiringAnswer()).load(request_text))


def _request_secret(client: Any, secret: VaultSecret) -> str:
    request = importlib.import_module("azure.core.rest").HttpRequest(
        "GET", secret.address, params={"api-version": API_VERSION}
    )
    try:
        response = send_request(client, request, **VAULT_TIMEOUTS)
        response.raise_for_status()
        return str(response.json()["value"])
    except Exception as error:
        raise explain_vault_error(error, secret) from None  # a cause may repeat what was sent


MAX_SECRET_BYTES = 64 * 1024


def read_secret(location: str, expected_content: str) -> str:
    """Return the stripped text of a secret in a file, or in a key vault by its address. Raise FetchError.

    `expected_content` names what it should hold, for messages.
    """
    if secret := parse_vault_address(location):
        secret_text = read_vault_secret(secret).strip()
    elif is_vault_address(location):
        reason = f"the address of a secret is not one of a key vault: its form is {VAULT_ADDRESS_FORM}"
        raise FetchError(reason, "configuration")
    else:
        try:
            with open(location, encoding="utf-8") as file:
                secret_text = file.read(MAX_SECRET_BYTES).strip()
        except OSError as error:
            reason = f"the credential file {location} cannot be read: {error.strerror}"
            raise FetchError(reason, "configuration") from None
        except ValueError:  # not UTF-8
            raise make_content_error(location, expected_content) from None
    if not secret_text:
        raise FetchError(f"{_describe_secret(location)} is empty: it should hold {expected_content}", "configuration")
    return secret_text


def make_content_error(location: str, expected_content: str) -> FetchError:
    """Return the error for a secret that holds something else."""
    return FetchError(f"{_describe_secret(location)} does not hold {expected_content}", "configuration")


def describe_location(location: str) -> str:
    """Return where a secret is, as the end of a sentence: the token in …"""
    secret = parse_vault_address(location)
    return str(secret) if secret else location


def _describe_secret(location: str) -> str:
    return describe_location(location) if is_vault_address(location) else f"the credential file {location}"


def accepts(address: str) -> bool:
    """Return whether an address is that of a secret in a key vault."""
    return parse_vault_address(address) is not None


def read(address: str) -> str:
    """Return the secret. Raise ProblemError."""
    try:
        return read_secret(address, "a secret")
    except FetchError as error:
        raise ProblemError(make_data_problem(error.sentence, error.way)) from None
