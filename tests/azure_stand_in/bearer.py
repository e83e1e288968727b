"""What a request's token is for. The signature is not looked at."""

import base64
import json
import time
from email.message import Message


def audience_of(headers: Message) -> str:
    """Of a token that holds now; empty without one."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    try:
        middle = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return ""
    return str(said["aud"]) if kind == "Bearer" and said["nbf"] <= time.time() < said["exp"] else ""
