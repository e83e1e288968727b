"""Server of Weights & Biases: address, sign-in and reachability."""

import configparser
import http.client
import netrc
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_ADDRESS = "https://api.wandb.ai"
TIMEOUT_SECONDS = 5.0
_answering_servers: set[str] = set()
"""Servers that answered: a later moment without a network does not stop a run that has downloaded its data."""


def find_server_address(environ: Mapping[str, str]) -> str:
    """Return the address as wandb finds it, also one that `wandb login --host` saved."""
    if address := environ.get("WANDB_BASE_URL"):
        return address
    folder = Path(environ.get("WANDB_CONFIG_DIR") or _get_home(environ) / ".config" / "wandb")
    settings = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, ValueError, configparser.Error):
        settings.read(folder / "settings", encoding="utf-8")
    return settings.get("default", "base_url", fallback=DEFAULT_ADDRESS)


def redact_address(address: str) -> str:
    """Return an address without user name and password."""
    return re.sub(r"//[^/]*@", "//", address)


def is_signed_in(environ: Mapping[str, str]) -> bool:
    """Return whether `wandb login` saved a key, in the netrc file."""
    netrc_file, home = environ.get("NETRC"), _get_home(environ)
    files = [Path(netrc_file).expanduser()] if netrc_file else [home / ".netrc", home / "_netrc"]
    with suppress(OSError, ValueError, netrc.NetrcParseError, StopIteration):
        keys = netrc.netrc(next(file for file in files if file.is_file()))
        login = keys.authenticators(urlsplit(find_server_address(environ)).netloc)
        return bool(login and login[2])
    return False


def explain_unreachable(address: str, seconds: float = TIMEOUT_SECONDS) -> str:
    """Return why nothing answers, in a few words; empty for any answer.

    wandb itself would retry silently: measured, more than three minutes.
    """
    if address in _answering_servers:
        return ""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(_probe_server(address, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)  # a DNS lookup has no timeout
    if answers == [""]:
        _answering_servers.add(address)
    return answers[0] if answers else f"no answer within {seconds:g} s"


def _probe_server(address: str, seconds: float) -> str:
    try:
        request = urllib.request.Request(
            redact_address(address).rstrip("/") + "/healthz", headers={"User-Agent": "robotrain"}
        )
        with urllib.request.urlopen(request, timeout=seconds):
            return ""
    except urllib.error.HTTPError as answer:
        answer.close()
        return ""
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLError):  # a server answers; wandb may know other certificates
            return ""
        return str(getattr(reason, "strerror", None) or reason)


def _get_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME", "~")).expanduser()
