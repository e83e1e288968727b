"""Secrets that a job names and never holds: read from a file or from an Azure key vault."""

import importlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError

VAULT_ADDRESS_FORM = "https://VAULT.vault.azure.net/secrets/NAME"
VAULT_SUFFIXES = ("vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn")
_VAULT, _NAME, _VERSION = r"[a-z][a-z0-9-]{1,22}[a-z0-9]", r"[0-9A-Za-z-]{1,127}", r"[0-9A-Za-z]{32}"
_ADDRESS = rf"https://({_VAULT})\.({'|'.join(map(re.escape, VAULT_SUFFIXES))})/secrets/({_NAME})(?:/({_VERSION}))?/?"


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """One secret. suffix: of the vault's host. version: empty for the newest."""

    vault: str
    suffix: str
    name: str
    version: str = ""

    def __str__(self) -> str:
        which = f"version {self.version} of the secret" if self.version else "the secret"
        return f"{which} {self.name} of the key vault {self.vault}"

    @property
    def host(self) -> str:
        """Who is asked for it."""
        return f"{self.vault}.{self.suffix}"

    @property
    def address(self) -> str:
        """Where it is asked for."""
        return f"https://{self.host}/secrets/{self.name}" + (f"/{self.version}" if self.version else "")

    @property
    def scope(self) -> str:
        """What a token has to be for."""
        return f"https://{self.suffix}/.default"


def is_vault_address(text: str) -> bool:
    """Whether it is an address, and no file."""
    return "://" in text


def parse_vault_address(text: str) -> VaultSecret | None:
    """The secret that an address names; None for anything else. The host's case does not count."""
    found = re.fullmatch(_ADDRESS, re.sub(r"^[^/]*//[^/]*", lambda host: host[0].lower(), text))
    return VaultSecret(found[1], found[2], found[3], found[4] or "") if found else None


DESKTOP_CREDENTIALS = ("shared_token_cache", "visual_studio_code", "powershell", "interactive_browser", "broker")
SIGN_IN_LIMITS = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 10, "process_timeout": 10}
"""A job that cannot sign in says so within seconds."""


def make_azure_credential() -> Any:
    """Without what needs a desktop: a secret in the environment, workload identity, a managed identity (the one that
    AZURE_CLIENT_ID names), `az login` or `azd auth login`.
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in its errors
    without: dict[str, Any] = {f"exclude_{name}_credential": True for name in DESKTOP_CREDENTIALS}
    return importlib.import_module("azure.identity").DefaultAzureCredential(**without, **SIGN_IN_LIMITS)


VAULT_ROLE = "Key Vault Secrets User"
TRANSIENT_STATUS = (408, 429)
_FIREWALL_CODES = ("ForbiddenByFirewall", "ForbiddenByConnection")
_SIGN_IN_REASON = r"AADSTS\d+: [^.\n]*|No User Assigned[\w ]* Managed Identity found[\w ]*|Identity not found"
_RESOURCE_ID = r"Resource: '(/subscriptions/[^']+?/vaults/[^/']+)"
_OBJECT_ID = r"oid=([0-9a-fA-F-]{36})"


def explain_vault_answer(status: int, body: Mapping[str, Any], secret: VaultSecret) -> FetchError:
    """For an answer that holds no secret."""
    code, message = _parse_error_body(body)
    told = f"HTTP {status} {code}".strip()
    if status == 404:
        way = f"az keyvault secret set --vault-name {secret.vault} --name {secret.name} --file FILE"
        return FetchError(f"there is no {str(secret).removeprefix('the ')} ({told})\n{way}", "configuration")
    if code == "SecretDisabled" or "disabled secret" in message:
        version = f" --version {secret.version}" if secret.version else ""
        way = f"az keyvault secret set-attributes --vault-name {secret.vault} --name {secret.name}{version} --enabled true"
        return FetchError(f"{secret} is disabled ({told})\n{way}", "configuration")
    if code in _FIREWALL_CODES:
        way = f"az keyvault network-rule add --name {secret.vault} --subnet SUBNET-ID"
        wall = f"the network rules of the key vault {secret.vault} keep this machine out ({told})"
        return FetchError(f"{wall}\n{way}", "configuration")
    if status in (401, 403):
        return _explain_access_denied(told, code, message, secret)
    if status in TRANSIENT_STATUS or status >= 500:
        return FetchError(f"{secret} could not be read ({told}): try again later", "network")
    return FetchError(f"{secret} could not be read ({told})", "configuration")


def explain_no_vault_answer(error: Exception, secret: VaultSecret) -> FetchError:
    """For a sign-in that failed, or a request that got no answer."""
    kinds = {base.__name__ for base in type(error).__mro__}
    unreached, reason = re.search(errors.UNREACHABLE_PATTERN, str(error)), re.search(_SIGN_IN_REASON, str(error))
    if "ClientAuthenticationError" not in kinds:
        told = unreached[0] if unreached else errors.format_error(error)
        reached = f"the key vault {secret.vault} cannot be reached, or there is none of that name"
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        return FetchError(f"{reached} ({told})", "configuration" if untrusted else errors.blame_no_answer(error))
    if unreached and not reason:
        return FetchError(f"Azure's sign-in cannot be reached, so nobody can read {secret} ({unreached[0]})", "network")
    told = f" ({reason[0]})" if reason else ""
    way = f"give the job an identity with the role {VAULT_ROLE}: a managed one that AZURE_CLIENT_ID names, or a workload's"
    return FetchError(f"there is no Azure identity to read {secret} with{told}\n{way}", "configuration")


def _explain_access_denied(status_text: str, code: str, message: str, secret: VaultSecret) -> FetchError:
    client = os.environ.get("AZURE_CLIENT_ID")
    who = f"the identity with client id {client}" if client else "the identity of this machine"
    if status_text.startswith("HTTP 401"):
        why = f"Azure does not accept the sign-in of {who} for {secret} ({status_text})"
        return FetchError(
            f"{why}: it must be of the vault's own tenant, and have the role {VAULT_ROLE} there", "configuration"
        )
    named, there = re.search(_OBJECT_ID, message), re.search(_RESOURCE_ID, message)
    assignee = client or (named[1] if named else "OBJECT-ID")
    if code == "ForbiddenByPolicy" or "secrets get permission" in message:
        needs = "the vault's access policy has to let it"
        way = f"az keyvault set-policy --name {secret.vault} --spn {assignee} --secret-permissions get"
    else:
        scope = there[1] if there else f"$(az keyvault show --name {secret.vault} --query id --output tsv)"
        needs = f"it needs the role {VAULT_ROLE}"
        way = f'az role assignment create --assignee {assignee} --role "{VAULT_ROLE}" --scope "{scope}"'
    return FetchError(f"Azure does not let {who} read {secret} ({status_text}): {needs}\n{way}", "configuration")


def _parse_error_body(body: Mapping[str, Any]) -> tuple[str, str]:
    """The service's own code, the inner one where there is one, and its message."""
    said = body.get("error")
    error: Mapping[str, Any] = said if isinstance(said, dict) else {}
    inner = error.get("innererror")
    code = inner.get("code") if isinstance(inner, dict) else ""
    return str(code or error.get("code") or ""), str(error.get("message") or "")


API_VERSION = "7.4"
VAULT_TIMEOUTS = {"connection_timeout": 5, "read_timeout": 10}
TRIES, PAUSE = 2, 1.0
ANSWER_SECONDS = 900.0
"""The seconds for which an answer stands: somebody may put a newer secret there while a run goes on."""
FAILURE_SECONDS = 10.0
"""Those for which a failure does: sixty sources wait no longer for it than one."""


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    """until: when it has to be asked again. text: in no printed form of this. refused: why there is none."""

    expires: float
    text: str = field(default="", repr=False)
    error: FetchError | None = None


_answers: dict[VaultSecret, _CachedAnswer] = {}
_answers_lock = threading.Lock()


def read_vault_secret(secret: VaultSecret) -> str:
    """What the secret holds. Raises Refused."""
    with _answers_lock:
        told = _answers.get(secret)
        if told is None or time.monotonic() > told.expires:
            told = _answers[secret] = _ask_and_cache(secret)
    if told.error:
        raise told.error
    return told.text


def _ask_and_cache(secret: VaultSecret) -> _CachedAnswer:
    try:
        return _CachedAnswer(text=_ask_with_retry(secret), expires=time.monotonic() + ANSWER_SECONDS)
    except FetchError as refused:
        return _CachedAnswer(error=refused, expires=time.monotonic() + FAILURE_SECONDS)


def _ask_with_retry(secret: VaultSecret) -> str:
    """What may pass by itself is tried twice. Raises Refused."""
    client = _make_vault_client(secret)
    for tries in range(1, TRIES + 1):
        try:
            return _request_secret(client, secret)
        except FetchError as refused:
            if refused.fault != "network" or tries == TRIES:
                raise
        time.sleep(PAUSE)
    raise AssertionError


def _request_secret(client: Any, secret: VaultSecret) -> str:
    request = importlib.import_module("azure.core.rest").HttpRequest(
        "GET", secret.address, params={"api-version": API_VERSION}
    )
    try:
        answer = client.send_request(request, **VAULT_TIMEOUTS)
    except Exception as error:
        raise explain_no_vault_answer(error, secret) from None  # of a chain of causes, one may repeat what was sent
    body = _parse_json_object(answer.text())
    if answer.status_code != 200 or not isinstance(body.get("value"), str):
        raise explain_vault_answer(answer.status_code, body, secret)
    return str(body["value"])


def _make_vault_client(secret: VaultSecret) -> Any:
    policies: Any = importlib.import_module("azure.core.pipeline.policies")
    signing = policies.BearerTokenCredentialPolicy(make_azure_credential(), secret.scope)
    made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy(), signing]
    return importlib.import_module("azure.core").PipelineClient(f"https://{secret.host}", policies=made)


def _parse_json_object(text: str) -> dict[str, Any]:
    """The JSON object of an answer; empty for anything else."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


MAX_SECRET_BYTES = 64 * 1024


def read_secret(location: str, expected: str) -> str:
    """Its text, without the white space around it. named: a file, or the address of a secret in a key vault.

    should: what it should hold, for the sentence of an empty one. Raises Refused, with the secret's name.
    """
    text = (_read_from_vault(location) if is_vault_address(location) else _read_from_file(location, expected)).strip()
    if not text:
        raise FetchError(f"{_describe_secret(location)} is empty: it should hold {expected}", "configuration")
    return text


def make_content_error(location: str, expected: str) -> FetchError:
    """For one that holds something else."""
    return FetchError(f"{_describe_secret(location)} holds something else than {expected}", "configuration")


def describe_location(location: str) -> str:
    """Where it lies, as the end of a sentence: the token in …"""
    found = parse_vault_address(location)
    return str(found) if found else location


def _describe_secret(location: str) -> str:
    return describe_location(location) if is_vault_address(location) else f"the credential file {location}"


def _read_from_vault(address: str) -> str:
    if found := parse_vault_address(address):
        return read_vault_secret(found)
    raise FetchError(
        f"a secret that the job names is none of a key vault: it should read {VAULT_ADDRESS_FORM}", "configuration"
    )


def _read_from_file(file: str, expected: str) -> str:
    try:
        with open(file, encoding="utf-8") as content:
            return content.read(MAX_SECRET_BYTES)
    except OSError as error:
        raise FetchError(f"the credential file {file} cannot be read: {error.strerror}", "configuration") from None
    except ValueError:  # no text at all
        raise make_content_error(file, expected) from None
