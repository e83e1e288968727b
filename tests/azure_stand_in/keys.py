"""Access to the account without an identity: its key, and signatures made with it, as Azure documents them."""

import base64
import hashlib
import hmac
import time
from email.message import Message
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

KEY = base64.b64encode(b"k" * 64).decode()
SERVICE = "2023-11-03"


def sas(account: str, container: str, permissions: str, seconds: int = 3600) -> str:
    """A service SAS for one container, as the query of an address; negative seconds: it ended so long ago."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    fields = {"sv": SERVICE, "sr": "c", "se": end, "sp": permissions, "spr": "https"}
    return urlencode({**fields, "sig": signature(account, container, permissions, end)})


def signature(account: str, container: str, permissions: str, end: str) -> str:
    """What has to sign such a query. end: as it is written in it."""
    named = f"/blob/{account}/{container}"
    # permissions, start, end, resource, identifier, IP, protocol, version, kind, snapshot, scope, five answer headers
    lines = [permissions, "", end, named, "", "", "https", SERVICE, "c", "", "", *[""] * 5]
    signed = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return base64.b64encode(signed).decode()


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
