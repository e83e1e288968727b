"""Secrets that a job names but never contains: read from a file or an Azure key vault."""

import importlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.azure_sign_in import (
    ExpiringAnswer,
    explain_sign_in,
    make_azure_credential,
    make_pipeline,
    make_token_policy,
    parse_json_object,
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
TRANSIENT_STATUS = (408, 429)
_FIREWALL_CODES = ("ForbiddenByFirewall", "ForbiddenByConnection")
_RESOURCE_ID = r"Resource: '(/subscriptions/[^']+?/vaults/[^/']+)"
_OBJECT_ID = r"oid=([0-9a-fA-F-]{36})"


def explain_vault_answer(status: int, body: Mapping[str, Any], secret: VaultSecret) -> FetchError:
    """Return the error for an answer without a secret."""
    error_body = body.get("error")
    fault: Mapping[str, Any] = error_body if isinstance(error_body, dict) else {}
    inner = fault.get("innererror")
    code = str((isinstance(inner, dict) and inner.get("code")) or fault.get("code") or "")
    message = str(fault.get("message") or "")
    status_text = f"HTTP {status} {code}".strip()
    options = f"--vault-name {secret.vault} --name {secret.name}"
    if status == 404:
        command = f"az keyvault secret set {options} --file FILE"
        secret_text = str(secret).removeprefix("the ")
        return FetchError(f"there is no {secret_text} ({status_text})", "configuration", command)
    if code == "SecretDisabled" or "disabled secret" in message:
        version = f" --version {secret.version}" if secret.version else ""
        command = f"az keyvault secret set-attributes {options}{version} --enabled true"
        return FetchError(f"{secret} is disabled ({status_text})", "configuration", command)
    if code in _FIREWALL_CODES:
        command = f"az keyvault network-rule add --name {secret.vault} --subnet SUBNET-ID"
        reason = f"the network rules of the key vault {secret.vault} block this machine ({status_text})"
        return FetchError(reason, "configuration", command)
    if status in (401, 403):
        return _explain_access_denied(status_text, code, message, secret)
    if status in TRANSIENT_STATUS or status >= 500:
        return FetchError(f"{secret} cannot be read ({status_text}): try again later", "network")
    return FetchError(f"{secret} cannot be read ({status_text})", "configuration")


def explain_no_vault_answer(error: Exception, secret: VaultSecret) -> FetchError:
    """Return the error for a failed sign-in, or a request without an answer."""
    if "ClientAuthenticationError" in errors.get_class_names(error):
        identities = "a workload identity, or a managed one (AZURE_CLIENT_ID)"
        way = f"give the job an identity with the role {VAULT_ROLE}: {identities}"
        return explain_sign_in(error, str(secret), way=way)
    unreachable = re.search(errors.UNREACHABLE_PATTERN, str(error))
    cause = unreachable[0] if unreachable else errors.format_error(error)
    reason = f"the key vault {secret.vault} does not exist or cannot be reached ({cause})"
    return FetchError(reason, errors.blame_no_answer(*errors.iter_causes(error)))


def _explain_access_denied(status_text: str, code: str, message: str, secret: VaultSecret) -> FetchError:
    client = os.environ.get("AZURE_CLIENT_ID")
    identity_text = f"the identity with client id {client}" if client else "the identity of this machine"
    if status_text.startswith("HTTP 401"):
        reason = f"Azure does not accept the sign-in of {identity_text} for {secret} ({status_text})"
        return FetchError(
            f"{reason}: it must belong to the vault's tenant, and have the role {VAULT_ROLE} there", "configuration"
        )
    object_id = re.search(_OBJECT_ID, message)
    resource_id = re.search(_RESOURCE_ID, message)
    assignee = client or (object_id[1] if object_id else "OBJECT-ID")
    if code == "ForbiddenByPolicy" or "secrets get permission" in message:
        remedy = "the vault's access policy must allow it"
        command = f"az keyvault set-policy --name {secret.vault} --spn {assignee} --secret-permissions get"
    else:
        scope = resource_id[1] if resource_id else f"$(az keyvault show --name {secret.vault} --query id --output tsv)"
        remedy = f"it needs the role {VAULT_ROLE}"
        command = f'az role assignment create --assignee {assignee} --role "{VAULT_ROLE}" --scope "{scope}"'
    return FetchError(
        f"Azure does not let {identity_text} read {secret} ({status_text}): {remedy}", "configuration", command
    )


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
    except Exception as error:
        raise explain_no_vault_answer(error, secret) from None  # a cause may repeat what was sent
    body = parse_json_object(response.text())
    if response.status_code != 200 or not isinstance(body.get("value"), str):
        raise explain_vault_answer(response.status_code, body, secret)
    return str(body["value"])


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
