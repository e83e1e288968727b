"""Access to the account without an identity: its key, and signatures made with it, as Azure documents them."""

import base64
import hashlib
import hmac
import time
from urllib.parse import urlencode

KEY = base64.b64encode(b"k" * 64).decode()
SERVICE = "2023-11-03"


def sas(account: str, container: str, permissions: str, seconds: int = 3600) -> str:
    """A service SAS for one container, as the query of an address; negative seconds: it ended so long ago."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    fields = {"sv": SERVICE, "sr": "c", "se": end, "sp": permissions, "spr": "https"}
    return urlencode({**fields, "sig": sign(account, container, permissions, end)})


def sign(account: str, container: str, permissions: str, end: str) -> str:
    """What has to sign such a query. end: as it is written in it."""
    named = f"/blob/{account}/{container}"
    # permissions, start, end, resource, identifier, IP, protocol, version, kind, snapshot, scope, five answer headers
    lines = [permissions, "", end, named, "", "", "https", SERVICE, "c", "", "", *[""] * 5]
    signed = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return base64.b64encode(signed).decode()
