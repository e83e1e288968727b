"""Why a key vault did not give a secret: a sentence with whose fault it is, and on a second line what to type."""

import os
import re
from collections.abc import Mapping
from typing import Any

from robotrain_sources.credential.vault import Secret
from robotrain_sources.fetching import answer
from robotrain_sources.fetching.answer import Refused

ROLE = "Key Vault Secrets User"
PASSING = (408, 429)
_WALLS = ("ForbiddenByFirewall", "ForbiddenByConnection")
_REASON = r"AADSTS\d+: [^.\n]*|No User Assigned[\w ]* Managed Identity found[\w ]*|Identity not found"
_RESOURCE = r"Resource: '(/subscriptions/[^']+?/vaults/[^/']+)"
_OBJECT = r"oid=([0-9a-fA-F-]{36})"


def answered(status: int, body: Mapping[str, Any], of: Secret) -> Refused:
    """For an answer that holds no secret."""
    code, message = _words(body)
    told = f"HTTP {status} {code}".strip()
    if status == 404:
        way = f"az keyvault secret set --vault-name {of.vault} --name {of.name} --file FILE"
        return Refused(f"there is no {str(of).removeprefix('the ')} ({told})\n{way}", "configuration")
    if code == "SecretDisabled" or "disabled secret" in message:
        version = f" --version {of.version}" if of.version else ""
        way = f"az keyvault secret set-attributes --vault-name {of.vault} --name {of.name}{version} --enabled true"
        return Refused(f"{of} is disabled ({told})\n{way}", "configuration")
    if code in _WALLS:
        way = f"az keyvault network-rule add --name {of.vault} --subnet SUBNET-ID"
        wall = f"the network rules of the key vault {of.vault} keep this machine out ({told})"
        return Refused(f"{wall}\n{way}", "configuration")
    if status in (401, 403):
        return _not_let_in(told, code, message, of)
    if status in PASSING or status >= 500:
        return Refused(f"{of} could not be read ({told}): try again later", "network")
    return Refused(f"{of} could not be read ({told})", "configuration")


def unanswered(error: Exception, of: Secret) -> Refused:
    """For a sign-in that failed, or a request that got no answer."""
    kinds = {base.__name__ for base in type(error).__mro__}
    unreached, reason = re.search(answer.UNREACHED, str(error)), re.search(_REASON, str(error))
    if "ClientAuthenticationError" not in kinds:
        told = unreached[0] if unreached else answer.plain(error)
        reached = f"the key vault {of.vault} cannot be reached, or there is none of that name"
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        return Refused(f"{reached} ({told})", "configuration" if untrusted else answer.unanswered(error))
    if unreached and not reason:
        return Refused(f"Azure's sign-in cannot be reached, so nobody can read {of} ({unreached[0]})", "network")
    told = f" ({reason[0]})" if reason else ""
    way = f"give the job an identity with the role {ROLE}: a managed one that AZURE_CLIENT_ID names, or a workload's"
    return Refused(f"there is no Azure identity to read {of} with{told}\n{way}", "configuration")


def _not_let_in(told: str, code: str, message: str, of: Secret) -> Refused:
    client = os.environ.get("AZURE_CLIENT_ID")
    who = f"the identity with client id {client}" if client else "the identity of this machine"
    if told.startswith("HTTP 401"):
        why = f"Azure does not accept the sign-in of {who} for {of} ({told})"
        return Refused(f"{why}: it must be of the vault's own tenant, and have the role {ROLE} there", "configuration")
    named, there = re.search(_OBJECT, message), re.search(_RESOURCE, message)
    assignee = client or (named[1] if named else "OBJECT-ID")
    if code == "ForbiddenByPolicy" or "secrets get permission" in message:
        needs = "the vault's access policy has to let it"
        way = f"az keyvault set-policy --name {of.vault} --spn {assignee} --secret-permissions get"
    else:
        scope = there[1] if there else f"$(az keyvault show --name {of.vault} --query id --output tsv)"
        needs = f"it needs the role {ROLE}"
        way = f'az role assignment create --assignee {assignee} --role "{ROLE}" --scope "{scope}"'
    return Refused(f"Azure does not let {who} read {of} ({told}): {needs}\n{way}", "configuration")


def _words(body: Mapping[str, Any]) -> tuple[str, str]:
    """The service's own code, the inner one where there is one, and its message."""
    said = body.get("error")
    error: Mapping[str, Any] = said if isinstance(said, dict) else {}
    inner = error.get("innererror")
    code = inner.get("code") if isinstance(inner, dict) else ""
    return str(code or error.get("code") or ""), str(error.get("message") or "")
