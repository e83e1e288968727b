"""The header of one who signs with the account's key, as Azure documents it."""

import base64
import hashlib
import hmac
from email.message import Message
from urllib.parse import parse_qs, unquote, urlsplit

from azure_stand_in.keys import KEY

_SIGNED = (
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-MD5",
    "Content-Type",
    "Date",
    "If-Modified-Since",
    "If-Match",
    "If-None-Match",
    "If-Unmodified-Since",
    "Range",
)


def shared_key(account: str, method: str, path: str, headers: Message) -> str:
    """What `Authorization` has to be."""
    split = urlsplit(path)
    plain = ["" if (name, headers.get(name)) == ("Content-Length", "0") else headers.get(name, "") for name in _SIGNED]
    own = sorted((name.lower(), value) for name, value in headers.items() if name.lower().startswith("x-ms-"))
    asked = sorted((name.lower(), ",".join(sorted(values))) for name, values in parse_qs(split.query).items())
    lines = [method, *plain, *(f"{name}:{value}" for name, value in own), f"/{account}{split.path}"]
    lines += [f"{name}:{unquote(value)}" for name, value in asked]
    signed = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return f"SharedKey {account}:{base64.b64encode(signed).decode()}"
