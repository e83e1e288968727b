"""Messages to channels: web addresses that take a POST, and that are secrets. One road for a run and for who waits."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from robotrain_runtime.contract.certificate_trust import find_untrusted_certificate

SECONDS = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CARD_HOSTS = (".logic.azure.com", ".powerplatform.com")
"""Workflows of Teams, which read cards only."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given: Any) -> None:
        """Follow none: a POST would become a GET that says nothing."""


def post_notice(address: str, text: str) -> str:
    """Post a text as its host reads it; return why that failed, without the address. Nothing is raised."""
    try:
        place = urlsplit(address)
        host = place.hostname or ""
        if place.scheme != "https" and (place.scheme != "http" or host not in LOOPBACK):
            return "its address does not begin with https"
        content, kind = _make_content(host, text)
        request = urllib.request.Request(address, content.encode(), {"Content-Type": kind})
        urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS).close()
        return ""
    except urllib.error.HTTPError as error:
        return f"it answered with status {error.code}"
    except Exception as error:  # its text may hold the address
        cause = getattr(error, "reason", error)
        if untrusted := find_untrusted_certificate(cause):
            return str(untrusted)
        return str(getattr(cause, "strerror", None) or type(cause).__name__)


def _make_content(host: str, text: str) -> tuple[str, str]:
    """Return what a host is sent, and its type."""
    if "ntfy" in host.split("."):
        return text, "text/plain; charset=utf-8"
    body: object = {"text": text}
    if host.endswith(CARD_HOSTS):
        block = {"type": "TextBlock", "text": text.replace("\n", "\n\n"), "wrap": True}
        card = {"type": "AdaptiveCard", "version": "1.2", "body": [block]}
        part = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        body = {"type": "message", "attachments": [part]}
    return json.dumps(body), "application/json"
