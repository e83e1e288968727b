"""Who is signed in here, for a command that gives them a role: their object id."""

import base64
import json

from robotrain_azure import credential
from robotrain_azure.cloud import here

UNKNOWN = "OBJECT-ID"


def object_id() -> str:
    """That of whoever is signed in, from the token; UNKNOWN where it does not say."""
    try:
        token = str(credential.shared().get_token(f"https://{here().manager}/.default").token)
        claims = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return str(said.get("oid") or UNKNOWN)
    except Exception:  # whatever a sign-in raises: a look that needs the answer says so with the word in its place
        return UNKNOWN
