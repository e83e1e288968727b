"""Who asks Azure: the identities a job can have, and which of them it was."""

import base64
import importlib
import json
import os
from typing import Any

STORAGE = "https://storage.azure.com/.default"
NOT_IN_A_JOB = ("shared_token_cache", "visual_studio_code", "powershell", "interactive_browser", "broker")


def credential() -> Any:
    """Azure's own chain, without what needs a desktop: a secret in the environment, workload identity, a managed
    identity (the one AZURE_CLIENT_ID names), `az login` or `azd auth login`.
    """
    without: dict[str, Any] = {f"exclude_{name}_credential": True for name in NOT_IN_A_JOB}
    return importlib.import_module("azure.identity").DefaultAzureCredential(**without)


def who(credential: Any) -> str:
    """The identity that asked, as its token names it."""
    try:
        claims = _claims(credential.get_token(STORAGE).token)
    except Exception:
        named = os.environ.get("AZURE_CLIENT_ID")
        return f"the identity with client id {named}" if named else "the identity of this machine"
    if person := claims.get("upn") or claims.get("unique_name") or claims.get("preferred_username"):
        return str(person)
    client, thing = claims.get("appid") or claims.get("azp"), claims.get("oid")
    return f"the identity with {f'client id {client}, ' if client else ''}object id {thing}"


def _claims(token: str) -> dict[str, Any]:
    """What a token says of its holder; not verified, it is only told."""
    middle = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims
