"""Messages to webhooks, whose addresses are secrets. One road for a run and for who waits."""

import html
import json
import re
import urllib.error
import urllib.request
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

SECONDS = 10.0
"""How long a notice may take in all: a host that answers a byte a second would hold a socket for ever."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CARD_HOSTS = (".logic.azure.com", ".powerplatform.com")
"""Workflows of Teams, which read cards only."""
SLACK_HOSTS = (".slack.com", ".slack-gov.com")
DISCORD_HOSTS = ("discord.com", "discordapp.com")
ACTIVE_TEXT = re.compile(r"@(?=everyone|here|channel|all\b)|<(?=[@!#&:]|at>)|\](?=\()", re.IGNORECASE)
"""The first characters of what calls people or hides an address behind a text: a notice has the log's last line."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        """Follow none: a POST would become a GET that says nothing."""


def post_notice(address: str, message: str, seconds: float = SECONDS) -> str:
    """Post a text as its host reads it; return why that failed, without the address. Nothing is raised."""
    try:
        return DeadlineFuture(partial(_post, address, message)).result(seconds)
    except DeadlineExceeded:
        return "timed out"


def _post(address: str, message: str) -> str:
    try:
        url = urlsplit(address)
        host = url.hostname or ""
        if url.scheme != "https" and (url.scheme != "http" or host not in LOOPBACK):
            return "its address does not begin with https"
        request_body, kind = _make_content(host, url.path, message)
        request = urllib.request.Request(address, request_body.encode(), {"Content-Type": kind})
        urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS).close()
        return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered with status {error.code}"
    except Exception as error:  # its text may hold the address
        cause = getattr(error, "reason", error)
        return str(getattr(cause, "strerror", None) or type(cause).__name__)


def _make_inactive(message: str) -> str:
    """Return a text that calls nobody and hides no address: `@everyone`, `<!channel>`, `[this](https://…)`."""
    return ACTIVE_TEXT.sub(lambda sign: f"{sign[0]}\u200b", message)


def _make_content(host: str, path: str, message: str) -> tuple[str, str]:
    """Return what a host is sent, and its type."""
    if "ntfy" in host.split("."):
        return message, "text/plain; charset=utf-8"
    inactive_message = _make_inactive(message)
    body: object = {"text": inactive_message}
    if host.endswith(SLACK_HOSTS) or path.endswith("/slack"):
        body = {"text": html.escape(message, quote=False)}
    elif host in DISCORD_HOSTS:
        body = {"content": inactive_message, "allowed_mentions": {"parse": []}}
    elif host.endswith(CARD_HOSTS):
        block = {"type": "TextBlock", "text": inactive_message.replace("\n", "\n\n"), "wrap": True}
        card = {"type": "AdaptiveCard", "version": "1.2", "body": [block]}
        part = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        body = {"type": "message", "attachments": [part]}
    return json.dumps(body), "application/json"
