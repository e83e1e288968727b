"""Asking the stand-in as any client does, through the proxy and TLS."""

import contextlib
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from azure_stand_in.sign_in import token
from azure_stand_in.tenant import Tenant


def ask(
    tenant: Tenant, method: str, url: str, body: Mapping[str, Any] | None, audience: str
) -> tuple[int, dict[str, Any]]:
    """The status, and the JSON: empty for an answer without a body. audience: of the token; empty: without one."""
    proxy, asked = urlsplit(tenant.proxy.address), urlsplit(url)
    context = ssl.create_default_context(cafile=str(tenant.ca))
    line = http.client.HTTPSConnection(str(proxy.hostname), proxy.port, context=context, timeout=60)
    line.set_tunnel(str(asked.hostname), 443)
    said = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token(audience)}"} if audience else {})}
    with contextlib.closing(line):
        line.request(method, f"{asked.path}?{asked.query}", None if body is None else json.dumps(body), said)
        came = line.getresponse()
        content = came.read()
    return came.status, json.loads(content) if content else {}
